"""Runs stages: Spark sessions, tasks in waves, tables as frames, progress, metrics, failures."""
