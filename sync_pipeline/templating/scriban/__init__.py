"""Scriban, the template language of the original: its spelling and its functions."""
