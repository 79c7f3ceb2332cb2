"""The only Spark code: one file a stage, tables connect them."""
