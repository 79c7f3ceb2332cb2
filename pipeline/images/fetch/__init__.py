"""Image URLs to bytes: which to fetch, when, from which address, and what came of it."""
