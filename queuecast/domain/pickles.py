"""Recognizes a pickle, which can run any code when it is loaded, by its first bytes."""

# Pickle protocol 2 and later; then zlib, gzip, bzip2 and xz, which joblib wraps around a pickle.
_STARTS = (b"\x80", b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda", b"\x1f\x8b", b"BZh", b"\xfd7zXZ")


def is_pickle(start: bytes) -> bool:
    """Whether a file is a pickle or joblib's compressed one. start: its first 5 bytes or more."""
    return start.startswith(_STARTS)
