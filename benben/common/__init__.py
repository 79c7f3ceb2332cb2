"""Code that the pipeline and the trainer share. It imports nothing else of the project."""
