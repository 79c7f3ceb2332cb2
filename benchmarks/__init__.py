"""Every performance and quality claim as a command: `python -m benchmarks.NAME`."""
