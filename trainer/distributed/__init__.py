"""The device mesh and each rank's shards."""
