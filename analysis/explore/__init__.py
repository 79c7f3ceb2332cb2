"""The explorer: search and inspect a run in the browser."""
