"""Collections: from a query string to SQL, and from rows to pages."""
