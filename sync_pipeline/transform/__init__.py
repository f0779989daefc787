"""From a row to a desired entry: templates, typing by the content type, merging of duplicates."""
