"""Nouns after a count."""


def counted(count: int, noun: str) -> str:
    """The count with its noun: 1 move, 2 moves."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
