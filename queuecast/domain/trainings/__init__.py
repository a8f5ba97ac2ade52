"""The reference that a version keeps of the rows of its fit."""
