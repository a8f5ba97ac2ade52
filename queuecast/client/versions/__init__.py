"""Compares and prunes the versions of a model."""
