"""The trainer: correctness and speed on a GPU, ablations on tiny models."""
