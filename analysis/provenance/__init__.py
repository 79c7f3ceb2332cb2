"""Where a shipped row comes from, and whether it can be made again."""
