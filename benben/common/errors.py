"""The base class of errors meant for the user."""


class UserError(Exception):
    """Something the user can mend: shown as one message, without a stack trace."""
