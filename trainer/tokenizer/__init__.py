"""Trains tokenizers and measures them by language."""
