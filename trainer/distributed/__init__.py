"""The device mesh and what each rank holds."""
