"""Speed, scale and quality of deduplication."""
