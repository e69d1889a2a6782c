"""What a person who dropped a file can mend."""


class InputError(ValueError):
    """The file cannot be scored, in one sentence that names the line."""
