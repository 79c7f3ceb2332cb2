"""Reads tables and manifests: reports, tuning, exploration. Never imports jobs."""
