"""Databases as sources: one query, read through a server-side cursor."""
