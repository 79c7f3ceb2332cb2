"""Spark code that the stages of deduplication share."""
