"""Archives to captures: what to read, from where, record by record, decoded."""
