"""What a billing export can be refused for."""


class BadInputError(ValueError):
    """One sentence that says what is wrong with the input, where, and what is accepted."""


class UnreadableError(BadInputError):
    """An engine cannot read the exports, and does not know which of them."""

    START = "cannot read the exports: "

    def __init__(self, reason: str) -> None:
        super().__init__(f"{self.START}{reason}")
