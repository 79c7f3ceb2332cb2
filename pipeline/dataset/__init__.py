"""The shipped dataset: rows in OBELICS's schema, splits, shard layout, WebDataset."""
