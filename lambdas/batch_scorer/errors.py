"""What a person who dropped a file can fix."""


class InputError(ValueError):
    """The file cannot be scored, in one sentence that names the line."""


def one_line(reason: str) -> str:
    """Return a reason without line breaks, repeated spaces and control characters."""
    text = " ".join(reason.split())
    return "".join(character if character.isprintable() else "\ufffd" for character in text)
