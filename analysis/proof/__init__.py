"""What a proof trains on: a run's documents as each set of rules keeps them, and gold text."""
