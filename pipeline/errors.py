"""Errors meant for the user: the message says what is wrong, where, and what to do."""


class UserError(Exception):
    """Something the user can mend: shown as one message, without a stack trace."""


class InputError(UserError):
    """An input that is missing or cannot be read."""
