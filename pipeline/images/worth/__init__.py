"""How well an image fits the text around it, by a small model trained on a run's own pairs."""
