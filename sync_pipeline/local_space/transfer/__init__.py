"""Whole environments as files: import and export."""
