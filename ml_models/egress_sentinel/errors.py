"""Errors that the user can fix. The command line prints the sentence and exits with status 2."""


class UserError(Exception):
    """The fault, its place and the accepted values, in one sentence."""
