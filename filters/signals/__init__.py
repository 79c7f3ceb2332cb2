"""Families of signals: how each is measured, and its declarations."""
