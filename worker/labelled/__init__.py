"""Rows with their targets, read with the types of a version, and the held-out rows that versions keep."""
