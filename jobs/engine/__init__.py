"""What every stage runs on: sessions, tasks, tables, waves, progress, metrics."""
