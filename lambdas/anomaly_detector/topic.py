"""Notifications through SNS."""

from __future__ import annotations

from typing import Any


class Topic:
    """An SNS topic."""

    def __init__(self, sns: Any, topic_arn: str) -> None:
        self._sns = sns
        self._topic_arn = topic_arn

    def publish(self, subject: str, message: str) -> None:
        """Publish one notification."""
        self._sns.publish(TopicArn=self._topic_arn, Subject=subject, Message=message)
