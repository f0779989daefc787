"""The embedded Contentful-compatible space: the Content Management API over SQLite, on loopback."""
