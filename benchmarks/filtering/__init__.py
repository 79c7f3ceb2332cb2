"""Cost of signals and decisions."""
