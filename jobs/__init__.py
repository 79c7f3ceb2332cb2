"""The only Spark code: one file for each stage of a run, connected by the tables they write.

`stages.py` lists the stages; `engine/` runs them, `deduplication/` holds the joins that several of
them share, and `commands/` is the command line.
"""
