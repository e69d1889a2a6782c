"""Errors that the caller can fix. Each message is one sentence."""

from __future__ import annotations

from typing import Any


class InputError(Exception):
    """Training cannot use its input. The script prints the message and exits with status 2."""


class ArtifactError(Exception):
    """The model directory must not be served."""


class RequestError(Exception):
    """The endpoint rejects the request.

    Parameters
    ----------
    status : int
        The HTTP status, 4xx.
    message : str
        The fault, where it is, and the accepted form.
    row : int, optional
        The 0-based data row.
    column : str, optional
        The column's name.

    Attributes
    ----------
    manifest : dict or None
        The manifest of the model, if the request reached a model.
    """

    def __init__(self, status: int, message: str, *, row: int | None = None, column: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.row = row
        self.column = column
        self.manifest: dict[str, Any] | None = None
