"""Trainings: their parameters as JSON, and their request."""
