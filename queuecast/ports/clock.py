"""The clock that rules and use cases are given."""

from collections.abc import Callable

Clock = Callable[[], float]
"""Seconds since the Unix epoch."""
