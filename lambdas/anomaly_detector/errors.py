"""What stops an invocation, and what only makes it start over."""

from __future__ import annotations


class ConflictError(RuntimeError):
    """Another invocation wrote what this one had read; starting over from there resolves it."""


class AlertSizeError(ValueError):
    """An alert is larger than DynamoDB accepts."""
