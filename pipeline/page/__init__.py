"""From a page to its nodes: one parse, one walk, image addresses, facts, the content score."""
