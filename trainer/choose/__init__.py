"""Choosing what to train: shapes, sizes, ablations, tokenizers, and what a run will need."""
