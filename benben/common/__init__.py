"""What the pipeline and the trainer both use; imports nothing else of the project."""
