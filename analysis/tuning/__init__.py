"""Thresholds, labels and what-if."""
