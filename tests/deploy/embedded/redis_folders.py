"""Data folders as different servers write them."""

from pathlib import Path

END_WITHOUT_CHECKSUM = b"\xff" + bytes(8)
ONE_SET = b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$5\r\nvalue\r\n"


def folder_written_by(folder: Path, magic: bytes, name: bytes = b"", version: bytes = b"") -> Path:
    """A folder with one key, as a server writes it. Without a name, nothing in it identifies the server."""
    field = b"\xfa" + bytes([len(name)]) + name + bytes([len(version)]) + version if name else b""
    aof = folder / "appendonlydir"
    aof.mkdir(parents=True)
    (aof / "appendonly.aof.1.base.rdb").write_bytes(magic + field + END_WITHOUT_CHECKSUM)
    (aof / "appendonly.aof.1.incr.aof").write_bytes(ONE_SET)
    (aof / "appendonly.aof.manifest").write_text(
        "file appendonly.aof.1.base.rdb seq 1 type b\nfile appendonly.aof.1.incr.aof seq 1 type i\n"
    )
    return folder
