"""What a person who dropped a file can fix."""


class InputError(ValueError):
    """The file cannot be scored, in one sentence that names the line."""


def reason_of(error: Exception) -> str:
    """Return an error's sentence on one line."""
    return " ".join(str(error).split())
