"""Deduplication and decontamination: fingerprints, clusters, repeated text and images."""
