"""Errors about billing exports."""


class BadInputError(ValueError):
    """The input cannot be used. The message is one sentence: the fault, its place, and how to fix it."""


class UnreadableError(BadInputError):
    """An engine cannot read the exports, and its message does not name the file."""

    START = "cannot read the exports: "

    def __init__(self, reason: str) -> None:
        super().__init__(f"{self.START}{reason}")
