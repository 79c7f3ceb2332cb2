"""Tokenizers: trained, and measured by language."""
