"""What benchmarks share: how a figure is reported, where real data lies, servers, processes."""
