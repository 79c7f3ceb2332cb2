"""The base class of errors that the user can correct."""


class UserError(Exception):
    """A mistake that the user can correct. It is shown as a message without a stack trace."""
