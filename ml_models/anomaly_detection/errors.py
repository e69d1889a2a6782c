"""The errors that whoever caused them can mend: each is one sentence."""

from __future__ import annotations

from typing import Any


class InputError(Exception):
    """Training was given something it cannot use; the script prints the sentence and ends with status 2."""


class ArtifactError(Exception):
    """A model directory that must not be served."""


class RequestError(Exception):
    """A request that the endpoint refuses.

    Parameters
    ----------
    status : int
        The HTTP status, 4xx.
    message : str
        What was wrong, where, and what is accepted.
    row : int, optional
        The 0-based data row.
    column : str, optional
        The column's name.

    Attributes
    ----------
    manifest : dict or None
        Of the model that was asked, once it was.
    """

    def __init__(self, status: int, message: str, *, row: int | None = None, column: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.row = row
        self.column = column
        self.manifest: dict[str, Any] | None = None
