"""A generic webhook: the JSON body as it is, signed with a shared key."""

from __future__ import annotations

import hashlib
import hmac


def sign(body: bytes, key: str, timestamp: int, message_id: str) -> dict[str, str]:
    """Return the headers of a request.

    Parameters
    ----------
    body : bytes
        What is sent.
    key : str
        The key that sender and receiver share.
    timestamp : int
        The second of the epoch. It is signed too, so that a receiver can refuse an old request.
    message_id : str
        Identifies the notification; the same one when it is sent again.
    """
    signature = hmac.new(key.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
    return {
        "X-Egress-Sentinel-Delivery": message_id,
        "X-Egress-Sentinel-Timestamp": str(timestamp),
        "X-Egress-Sentinel-Signature": f"v1={signature}",
    }
