"""The clock that is passed to rules and use cases."""

from collections.abc import Callable

Clock = Callable[[], float]
"""Seconds since the Unix epoch."""
