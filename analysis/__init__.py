"""Look into a finished run: reports, the dataset card, exploration, provenance and tuning."""
