"""Documents that repeat others: shingles, sketches, clusters, repeated lines and images."""
