"""Long sequences: sequence parallelism, tiled loss and MLP, recomputation with offload."""
