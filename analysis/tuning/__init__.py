"""Tune the rules of a run: what-if counts, labels, audits and comparisons of configs."""
