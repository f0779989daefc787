"""The SQLite file: its tables, its open connection, rows as records."""
