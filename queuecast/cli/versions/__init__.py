"""The commands that look after the versions of a model."""
