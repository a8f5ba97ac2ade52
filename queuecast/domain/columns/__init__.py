"""The values of a column: the kinds and dtypes that are served, the values that fit them, and times as text."""
