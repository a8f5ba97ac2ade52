"""Which server wrote a data folder, and whether another server can read it.

A server reads files of older releases of its own product, not of newer ones. Redis and Valkey read each other's files
up to the point where the formats diverged: Redis has a format of its own since 7.4, Valkey since 9.0. Tested with
Redis 7.0.15 and 8.0.2 and Valkey 9.0.0 and 9.1.2. If nothing identifies the writer, the server tries to load the
folder, and its log shows whether it could.
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
DOCS_SECTION = '"Another Redis server"'
HEADER_BYTES = 200  # the version is among the first fields of a file in RDB format
CANNOT_LOAD = re.compile(
    r" # (Bad file format.*|Can't handle RDB format.*|.*(?:reading the append only file|AOF loading aborted).*)"
)


def require_readable(folder: Path, server: ServerVersion) -> None:
    """Raises CannotStartError for a folder that this server cannot read: it would exit or, before
    7.0, start empty."""
    for writer in _writers(folder):
        if not can_read(server, writer):
            raise CannotStartError(f"{writer} wrote {folder}, and {server} cannot read it. {_advice(writer)}")


def record_writer(folder: Path, server: ServerVersion) -> None:
    """Records the server for the next start. Call it once the server has loaded the folder and can write there."""
    draft = folder / f".{WRITER_FILE}"
    draft.write_text(f"{server}\n")
    draft.rename(folder / WRITER_FILE)


def can_read(server: ServerVersion, writer: ServerVersion) -> bool:
    if server.product == writer.product:
        return server.release >= writer.release
    return server.release >= LAST_SHARED_FORMAT and writer.release < FIRST_OWN_FORMAT[writer.product]


def load_failure(folder: Path, server: ServerVersion, log: str) -> str | None:
    """Why the server could not load the folder, from its log of this start. None: it exited for another reason."""
    error = CANNOT_LOAD.search(log)
    if error is None:
        return None
    if _writers(folder):  # `require_readable` has accepted them, so the files must be damaged
        return (
            f"{folder} is damaged, according to the log of {server}: {error[1]}. Either repair it, or move it away and "
            f"start without its jobs: see docs/06-operations.md, {DOCS_SECTION}."
        )
    return (
        f"{server} cannot read {folder}: another product or a newer version wrote it, or it is damaged (its log: "
        f"{error[1]}). {_advice(None)}"
    )


def _writers(folder: Path) -> list[ServerVersion]:
    """The server that last wrote to the folder, and the server that wrote the base file, which may be older."""
    base = _base_file(folder)
    if base is None:
        return []
    return [writer for writer in (_recorded_writer(folder), _writer_in_header(base)) if writer]


def _recorded_writer(folder: Path) -> ServerVersion | None:
    """None if only versions of queuecast that did not record the writer have used the folder."""
    try:
        product, _, text = (folder / WRITER_FILE).read_text().partition(" ")
    except FileNotFoundError:
        return None
    return server_version(product, text) if product in FIRST_OWN_FORMAT else None


def _base_file(folder: Path) -> Path | None:
    """The base file of the append-only log, according to its manifest."""
    for manifest in (folder / AOF_FOLDER).glob("*.manifest"):
        base = re.search(r"^file (\S+) seq \d+ type b", manifest.read_text(), re.MULTILINE)
        if base and (folder / AOF_FOLDER / base[1]).is_file():
            return folder / AOF_FOLDER / base[1]
    return None


def _writer_in_header(base: Path) -> ServerVersion | None:
    """The first field of an RDB file is the version of its writer: a name, a length, and a text."""
    with base.open("rb") as file:
        header = file.read(HEADER_BYTES)
    field = re.search(rb"(redis|valkey)-ver([\x01-\x3f])", header)
    if field is None:
        return None
    text = header[field.end() : field.end() + field[2][0]]
    return server_version(REDIS if field[1] == b"redis" else VALKEY, text.decode(errors="replace"))


def _advice(writer: ServerVersion | None) -> str:
    name = variable("redis_server")
    if writer is None:
        keep_jobs = f"set {name} to the server that wrote it"
    elif _is_readable_by_bundled(writer):
        keep_jobs = f"unset {name}, since the bundled Valkey can read it"
    else:
        keep_jobs = f"run {writer} or a newer release: {name}={writer.product.lower()}-server make run"
    return (
        f"Either {keep_jobs}; or move the folder away and start without its jobs. "
        f"docs/06-operations.md, {DOCS_SECTION}, explains how to migrate the jobs."
    )


def _is_readable_by_bundled(writer: ServerVersion) -> bool:
    try:
        return can_read(version_of(bundled_server()), writer)
    except CannotStartError:
        return False
