"""The content score: how likely each block of a page is main content."""
