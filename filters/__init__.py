"""Signals of documents and their nodes, and the rules that judge them."""
