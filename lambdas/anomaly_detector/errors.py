"""Errors that stop an invocation, or make it start over."""

from __future__ import annotations


class ConflictError(RuntimeError):
    """Another invocation changed data that this one had read. The invocation starts over."""


class AlertSizeError(ValueError):
    """An alert is larger than DynamoDB accepts."""
