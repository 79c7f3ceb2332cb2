"""What hostile inputs cost."""
