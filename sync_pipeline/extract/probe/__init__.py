"""Looks at an API and proposes a config file."""
