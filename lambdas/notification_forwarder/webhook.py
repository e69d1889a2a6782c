"""A generic webhook: the unchanged JSON body, signed with a shared key."""

from __future__ import annotations

import hashlib
import hmac


def sign(body: bytes, key: str, timestamp: int, message_id: str) -> dict[str, str]:
    """Return the headers of a request.

    Parameters
    ----------
    body : bytes
        The body of the request.
    key : str
        The key that sender and receiver share.
    timestamp : int
        The second of the epoch. It is signed too, so that a receiver can refuse an old request.
    message_id : str
        Identifies the notification. It is the same when the notification is sent again.
    """
    signature = hmac.new(key.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
    return {
        "X-Egress-Sentinel-Delivery": message_id,
        "X-Egress-Sentinel-Timestamp": str(timestamp),
        "X-Egress-Sentinel-Signature": f"v1={signature}",
    }
