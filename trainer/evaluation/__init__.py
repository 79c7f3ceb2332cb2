"""Held-out loss, few-shot tasks, lmms-eval."""
