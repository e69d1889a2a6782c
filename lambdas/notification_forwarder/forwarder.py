"""Sends one notification to its destination, or raises an error: Lambda then retries, and finally keeps the event."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import urllib3

from notification_forwarder.body import read_body
from notification_forwarder.chat import build_messages
from notification_forwarder.pagerduty import URL, build_events
from notification_forwarder.webhook import sign

if TYPE_CHECKING:
    from collections.abc import Callable

    from notification_forwarder.settings import Settings

# PagerDuty accepts about 120 events per minute for each integration.
_EVENTS_AT_ONCE, _PAUSE_SECONDS = 100, 60
_TIMEOUT = urllib3.Timeout(connect=5, read=10)
_LOCAL = ("http://127.0.0.1:", "http://localhost:")


class DeliveryError(RuntimeError):
    """A destination did not accept a request."""


class SecretError(ValueError):
    """A secret lacks a value that the destination requires."""


@dataclass(frozen=True)
class Forwarder:
    """The state that invocations share.

    Parameters
    ----------
    settings : Settings
    secrets : Secrets Manager client
    sns : SNS client
    clock, sleep : callable
        As in `time`.
    """

    settings: Settings
    secrets: Any
    sns: Any
    clock: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep

    def forward(self, message: str, message_id: str) -> int:
        """Send a notification, and return the number of requests.

        Parameters
        ----------
        message : str
            The JSON body that the topic delivered.
        message_id : str
            Its id, which is the same at each retry.

        Raises
        ------
        BodyError, SecretError, DeliveryError
            The message or the secret cannot be used, or the destination did not accept the request.
        """
        body = read_body(message)
        if self.settings.destination == "chat":
            return self._to_chat(body, message_id)
        if self.settings.destination == "pagerduty":
            return self._to_pagerduty(body)
        return self._to_webhook(message.encode(), message_id)

    def _to_chat(self, body: dict[str, Any], message_id: str) -> int:
        messages = build_messages(body, message_id)
        for each in messages:
            self.sns.publish(TopicArn=self.settings.topic_arn, Message=json.dumps(each, ensure_ascii=False))
        return len(messages)

    def _to_pagerduty(self, body: dict[str, Any]) -> int:
        secret = self._secret("routing_key")
        events = build_events(body, secret["routing_key"])
        for number, event in enumerate(events):
            if number and number % _EVENTS_AT_ONCE == 0:
                self.sleep(_PAUSE_SECONDS)
            _post(secret.get("url", URL), json.dumps(event).encode(), {})
        return len(events)

    def _to_webhook(self, message: bytes, message_id: str) -> int:
        secret = self._secret("url", "key")
        _post(secret["url"], message, sign(message, secret["key"], int(self.clock()), message_id))
        return 1

    def _secret(self, *names: str) -> dict[str, str]:
        """Read the secret for each notification, so that a new key takes effect at once."""
        arn = self.settings.secret_arn
        text = self.secrets.get_secret_value(SecretId=arn).get("SecretString", "")
        try:
            secret = json.loads(text)
        except ValueError:
            secret = None
        if not isinstance(secret, dict) or not all(isinstance(secret.get(name), str) for name in names):
            raise SecretError(f"the secret {arn} is not a JSON object with {' and '.join(names)}; put one there")
        url = secret.get("url", URL)
        if not str(url).startswith(("https://", *_LOCAL)):
            raise SecretError(f"the url in the secret {arn} does not start with https://; put one there that does")
        return secret


def _post(url: str, body: bytes, headers: dict[str, str]) -> None:
    """Send one request without retries: Lambda retries the whole notification, minutes apart."""
    host = urlsplit(url).hostname  # the path of a webhook may be a secret
    headers = {"Content-Type": "application/json", "User-Agent": "egress-sentinel"} | headers
    try:
        with urllib3.PoolManager() as pool:
            # Without retries urllib3 follows no redirect either.
            answer = pool.request("POST", url, body=body, headers=headers, timeout=_TIMEOUT, retries=False)
    except urllib3.exceptions.HTTPError as error:
        raise DeliveryError(f"{host} gave no answer: {type(error).__name__}") from None
    if not 200 <= answer.status < 300:
        text = answer.data[:300].decode("utf-8", "replace")
        raise DeliveryError(f"{host} answered {answer.status}: {text}; check the secret's url and key")
