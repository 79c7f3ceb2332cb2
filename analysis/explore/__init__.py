"""Pages on loopback to look into a run."""
