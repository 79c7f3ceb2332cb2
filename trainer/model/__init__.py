"""The decoder, the vision tower, their connectors and how they are fused."""
