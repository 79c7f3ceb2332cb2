"""Speed of fetching images."""
