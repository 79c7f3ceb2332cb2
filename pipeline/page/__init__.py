"""A page to nodes: one parse, one walk, addresses, opt-outs, the content score."""
