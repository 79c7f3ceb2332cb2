"""From archives to captures: which archives, how they are opened, records, HTTP responses, text."""
