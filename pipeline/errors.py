"""Errors meant for the user: the message says what is wrong, where, and what to do."""

from benben.common.errors import UserError

__all__ = ["InputError", "UserError"]


class InputError(UserError):
    """An input is missing or cannot be read."""
