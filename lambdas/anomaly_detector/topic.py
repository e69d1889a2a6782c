"""Notifications through SNS."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from egress_alerts.notification import Notification


class Topic:
    """An SNS topic."""

    def __init__(self, sns: Any, topic_arn: str) -> None:
        self._sns = sns
        self._topic_arn = topic_arn

    def publish(self, notification: Notification) -> None:
        """Publish one notification: its text to e-mail, its subject to SMS, its JSON body to all other protocols."""
        message = {
            # One copy of the body for HTTPS, SQS, Lambda and Firehose: a copy for each would not fit into 256 KB.
            "default": json.dumps(notification.body, ensure_ascii=False),
            "email": notification.text,
            "sms": notification.subject,
        }
        self._sns.publish(
            TopicArn=self._topic_arn,
            Subject=notification.subject,
            Message=json.dumps(message, ensure_ascii=False),
            MessageStructure="json",
            MessageAttributes={name: _attribute(value) for name, value in notification.attributes.items()},
        )

    def publish_text(self, subject: str, text: str) -> None:
        """Publish a text without attributes, like an alarm. Subscriptions that filter alerts do not get it."""
        self._sns.publish(TopicArn=self._topic_arn, Subject=subject, Message=text)


def _attribute(value: list[str] | str) -> dict[str, str]:
    if isinstance(value, str):
        return {"DataType": "String", "StringValue": value}
    return {"DataType": "String.Array", "StringValue": json.dumps(value, ensure_ascii=False)}
