"""Checkpoints: any mesh can resume them, and loading verifies them."""
