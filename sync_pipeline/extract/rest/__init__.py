"""REST APIs as sources: requests from templates, pages from answers."""
