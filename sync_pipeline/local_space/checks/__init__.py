"""The rules for definitions and values; they ask no database."""
