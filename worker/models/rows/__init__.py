"""Models whose rows are no tables: each row is a text."""
