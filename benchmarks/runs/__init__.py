"""Whole runs: pace, scale, estimates, overhead."""
