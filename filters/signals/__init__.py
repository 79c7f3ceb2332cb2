"""How each family of signals is measured."""
