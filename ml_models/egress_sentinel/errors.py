"""The errors that a person can fix: shown as a sentence, exit status 2."""


class UserError(Exception):
    """The fault, its place and the accepted values, in one sentence."""
