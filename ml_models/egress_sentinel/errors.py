"""The one kind of error that a person can mend: shown as a sentence, exit status 2."""


class UserError(Exception):
    """What was wrong, where, and what is accepted, in one sentence."""
