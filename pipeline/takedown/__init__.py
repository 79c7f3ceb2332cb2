"""Removal after release: what is asked for, what goes, what stays blocked, the log."""
