"""A run's memory: one SQLite file. Only this package imports sqlite3."""
