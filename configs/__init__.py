"""Shipped configurations, as data."""
