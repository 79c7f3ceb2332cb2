"""Plain Python over one page or one batch of rows: no Spark, no torch."""
