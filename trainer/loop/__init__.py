"""The training loop and all it steps through."""
