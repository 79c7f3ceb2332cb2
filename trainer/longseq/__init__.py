"""Long sequences: sequence parallelism, tiling, recomputation with offload."""
