"""Takedown: remove documents and images from a finished run, and keep them out of later runs."""
