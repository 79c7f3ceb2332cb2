"""The report of a run: funnel, distributions, topics, repeated phrases and examples."""
