"""Speed and quality of reading archives and extracting pages."""
