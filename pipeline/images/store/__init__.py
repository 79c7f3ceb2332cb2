"""Where image bytes are kept: tar shards and tables."""
