"""Image bytes to facts and stored bytes: one decode an image."""
