"""Which server wrote a folder, and whether another one can read it.

A server reads what older releases of its own product wrote, not what newer ones did. Redis and Valkey read each other's
files up to the point where they parted: Redis wrote a format of its own from 7.4 on, Valkey from 9.0 on. Tried with
Redis 7.0.15 and 8.0.2 and Valkey 9.0.0 and 9.1.2. Where nothing says which server wrote the folder, the server tries,
and its log says whether it could.
"""

import re
from pathlib import Path

from deploy.embedded.preconditions import CannotStartError
from deploy.embedded.server_programs import bundled_server, version_of
from queuecast.adapters.redis.server_check import REDIS, VALKEY, ServerVersion, server_version
from queuecast.config import variable

WRITER_FILE = "written_by"
AOF_FOLDER = "appendonlydir"
FIRST_OWN_FORMAT = {REDIS: (7, 4), VALKEY: (9, 0)}
LAST_SHARED_FORMAT = (7, 2)
PAGE = '"Another Redis server"'
HEADER_BYTES = 200  # the version is among the first fields of a file in RDB format
CANNOT_LOAD = re.compile(
    r" # (Bad file format.*|Can't handle RDB format.*|.*(?:reading the append only file|AOF loading aborted).*)"
)


def require_readable(folder: Path, server: ServerVersion) -> None:
    """Raises CannotStartError for a folder that this server cannot read: it would end, or, before 7.0, start empty."""
    for writer in _writers(folder):
        if not can_read(server, writer):
            raise CannotStartError(f"{writer} wrote {folder}, and {server} cannot read it. {_way_out(writer)}")


def note_writer(folder: Path, server: ServerVersion) -> None:
    """For the next start. Call it when the server has loaded the folder: from then on it writes there."""
    draft = folder / f".{WRITER_FILE}"
    draft.write_text(f"{server}\n")
    draft.rename(folder / WRITER_FILE)


def can_read(server: ServerVersion, writer: ServerVersion) -> bool:
    if server.product == writer.product:
        return server.release >= writer.release
    return server.release >= LAST_SHARED_FORMAT and writer.release < FIRST_OWN_FORMAT[writer.product]


def loading_refusal(folder: Path, server: ServerVersion, log: str) -> str | None:
    """Why the server could not load the folder, from its log of this start. None: it ended for another reason."""
    complaint = CANNOT_LOAD.search(log)
    if complaint is None:
        return None
    if _writers(folder):  # which this server can read, see `require_readable`
        return (
            f"{folder} is damaged, says the log of {server}: {complaint[1]}. Either mend it, or move it away and start "
            f"without its jobs: see docs/06-operations.md, {PAGE}."
        )
    return (
        f"{server} cannot read {folder}: another product or a newer version wrote it, or it is damaged (its log: "
        f"{complaint[1]}). {_way_out(None)}"
    )


def _writers(folder: Path) -> list[ServerVersion]:
    """The server that wrote there last, and the one that wrote the base file, which may be older."""
    base = _base_file(folder)
    if base is None:
        return []
    return [writer for writer in (_noted_writer(folder), _writer_in_header(base)) if writer]


def _noted_writer(folder: Path) -> ServerVersion | None:
    """None where only versions of queuecast have run that did not note it."""
    try:
        product, _, text = (folder / WRITER_FILE).read_text().partition(" ")
    except FileNotFoundError:
        return None
    return server_version(product, text) if product in FIRST_OWN_FORMAT else None


def _base_file(folder: Path) -> Path | None:
    """Where the log of writes begins, by its manifest."""
    for manifest in (folder / AOF_FOLDER).glob("*.manifest"):
        named = re.search(r"^file (\S+) seq \d+ type b", manifest.read_text(), re.MULTILINE)
        if named and (folder / AOF_FOLDER / named[1]).is_file():
            return folder / AOF_FOLDER / named[1]
    return None


def _writer_in_header(base: Path) -> ServerVersion | None:
    """In RDB format, the first field of a file is the version of its writer: a name, a length, and a text."""
    with base.open("rb") as file:
        header = file.read(HEADER_BYTES)
    field = re.search(rb"(redis|valkey)-ver([\x01-\x3f])", header)
    if field is None:
        return None
    text = header[field.end() : field.end() + field[2][0]]
    return server_version(REDIS if field[1] == b"redis" else VALKEY, text.decode(errors="replace"))


def _way_out(writer: ServerVersion | None) -> str:
    name = variable("redis_server")
    if writer is None:
        stay = f"set {name} to the server that wrote it"
    elif _is_readable_by_bundled(writer):
        stay = f"unset {name}, since the bundled Valkey reads it"
    else:
        stay = f"stay with {writer} or a newer one: {name}={writer.product.lower()}-server make run"
    return (
        f"Either {stay}; or move the folder away, and start without its jobs. "
        f"docs/06-operations.md, {PAGE}, says how to take the jobs along."
    )


def _is_readable_by_bundled(writer: ServerVersion) -> bool:
    try:
        return can_read(version_of(bundled_server()), writer)
    except CannotStartError:
        return False
