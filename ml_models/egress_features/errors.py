"""What a billing export can be refused for."""


class BadInputError(ValueError):
    """One sentence that says what is wrong with the input, where, and what is accepted."""
