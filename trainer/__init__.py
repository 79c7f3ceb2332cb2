"""Trains a vision-language model on the dataset's parquet; imports nothing else of the project."""
