"""Checkpoints that any mesh can resume, verified on load."""
