"""Evaluation: held-out loss, few-shot tasks, lmms-eval."""
