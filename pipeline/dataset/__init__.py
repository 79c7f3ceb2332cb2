"""The dataset that ships: rows in OBELICS's schema, splits, shards, WebDataset samples."""
