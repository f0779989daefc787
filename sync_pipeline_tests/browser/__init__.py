"""Dagster's UI as an operator meets it: `sync-pipeline dev` and a real browser, headless."""
