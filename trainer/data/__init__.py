"""From parquet to packs: the documents, their order, packing and loading."""
