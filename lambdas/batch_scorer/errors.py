"""Errors that the person who uploaded the file can fix."""

REPLACED = "it was removed or replaced while it was being scored"
# S3's error codes for a file that was removed or replaced.
GONE = frozenset({"NoSuchKey", "404", "PreconditionFailed", "412"})


class InputError(ValueError):
    """The file cannot be scored, in one sentence that names the line."""


def one_line(reason: str) -> str:
    """Return a reason without line breaks, repeated spaces and control characters."""
    text = " ".join(reason.split())
    return "".join(character if character.isprintable() else "\ufffd" for character in text)
