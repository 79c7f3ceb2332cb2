"""How likely each block of a page is main content."""
