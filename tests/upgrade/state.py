"""A recorded state of the product as one small archive: the content of Redis, the data folder, and expected facts.

about.json      the version and the commit of the recorded code, and the time of recording (of Redis)
redis.ndjson    the content of Redis as commands, one per line; bytes that are not UTF-8 become lone surrogates
backup          the same content as a file of `queuecast admin backup`
data/           models, files and batches
facts.json      the facts from `tests/upgrade/record.py`: ids, expected states and answers, pages of the API
"""

import io
import json
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import redis

# Fields of the API that depend on the time, the request, the settings of the gateway or the wording of its code.
VOLATILE_FIELDS = ("queue", "oldest_wait_s", "limits", "limit", "request_id", "title")
STATES = Path(__file__).with_name("states")
Command = list[bytes]


@dataclass(frozen=True)
class State:
    about: dict[str, Any]
    commands: list[Command]
    facts: dict[str, Any]
    backup: bytes
    data: dict[str, bytes]
    """Relative path in the data folder -> content."""


def commands_of(aof: bytes) -> Iterator[Command]:
    """The commands in an append-only file that was rewritten with `aof-use-rdb-preamble no`.

    This format includes the pending entries of consumer groups, and servers of every version can load it.
    """
    stream = io.BytesIO(aof)
    while head := stream.readline():
        if not head.startswith(b"*"):
            raise ValueError(f"found {head[:40]!r}, expected the start of a command")
        command = []
        for _ in range(int(head[1:])):
            size = int(stream.readline()[1:])
            command.append(stream.read(size))
            stream.read(2)
        if command[0] != b"SELECT":  # everything is in database 0
            yield command


def save(state: State, path: Path) -> None:
    """Writes an archive that contains no name, id or time of the machine."""
    lines = b"".join(json.dumps([_text(part) for part in command]).encode() + b"\n" for command in state.commands)
    members = {
        "about.json": _json(state.about),
        "facts.json": _json(state.facts),
        "redis.ndjson": lines,
        "backup": state.backup,
        **{f"data/{name}": content for name, content in sorted(state.data.items())},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(content), int(state.about["recorded_at"])
            archive.addfile(member, io.BytesIO(content))


def load(path: Path) -> State:
    with tarfile.open(path) as archive:
        members = {member.name: archive.extractfile(member) for member in archive.getmembers()}
        contents = {name: file.read() for name, file in members.items() if file is not None}
    return State(
        about=json.loads(contents["about.json"]),
        commands=[[_bytes(part) for part in json.loads(line)] for line in contents["redis.ndjson"].splitlines()],
        facts=json.loads(contents["facts.json"]),
        backup=contents["backup"],
        data={name.removeprefix("data/"): content for name, content in contents.items() if name.startswith("data/")},
    )


def read_folder(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def write_folder(data: dict[str, bytes], folder: Path) -> None:
    """Writes the files with the current time as their age, so that cleanup does not remove them as unused."""
    for name, content in data.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def fill_redis(url: str, state: State) -> None:
    """Loads the state into an empty Redis. Keys get the TTLs that they had when the state was recorded."""
    with redis.Redis.from_url(url) as client:
        seconds, micros = client.time()
        shift_ms = int((seconds + micros / 1e6 - state.about["recorded_at"]) * 1000)
        pipe = client.pipeline(transaction=False)
        for command in state.commands:
            pipe.execute_command(*_shifted(command, shift_ms))
        pipe.execute()


def _shifted(command: Command, shift_ms: int) -> Command:
    if command[0] != b"PEXPIREAT":
        return command
    return [*command[:2], str(int(command[2]) + shift_ms).encode()]


def read_pages(url: str, paths: Iterable[str]) -> dict[str, Any]:
    """Path -> the gateway's answer to GET: its status, and its body as JSON or else as text."""
    pages = {}
    with httpx2.Client(base_url=url, timeout=30) as client:
        for path in paths:
            answer = client.get(path)
            body: Any = answer.text
            with suppress(ValueError):
                body = answer.json()
            if answer.is_error:
                body = {"code": body["code"]}
            pages[path] = {"status": answer.status_code, "body": _stable(body)}
    return pages


def _stable(body: Any) -> Any:
    if isinstance(body, list):
        return [_stable(item) for item in body]
    if isinstance(body, dict):
        return {name: _stable(value) for name, value in body.items() if name not in VOLATILE_FIELDS}
    return body


def with_words(data: dict[str, Any], words: dict[str, str]) -> dict[str, Any]:
    """The same JSON document with all occurrences of the words replaced."""
    text = json.dumps(data)
    for word, other in words.items():
        text = text.replace(word, other)
    changed: dict[str, Any] = json.loads(text)
    return changed


def _json(document: Any) -> bytes:
    return json.dumps(document, indent=1, sort_keys=True).encode()


def _text(part: bytes) -> str:
    return part.decode(errors="surrogateescape")


def _bytes(part: str) -> bytes:
    return part.encode(errors="surrogateescape")
