"""Brings Benben to a cluster: the zip, the published files, the requests that start a run."""
