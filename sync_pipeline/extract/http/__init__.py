"""Requests to a source: one attempt, retries, credentials, redirects, the response cache."""
