"""Reading the dataset, and sending it again after a change."""
