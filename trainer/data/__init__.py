"""From parquet to packs: index, order, rendering, packing, loading."""
