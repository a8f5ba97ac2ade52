"""The audit trail in files survives a crash and shows edits."""

import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from queuecast.adapters.disk.audit import FILE, AuditFiles
from queuecast.adapters.disk.models import ModelFiles
from queuecast.domain.errors import DamagedFileError, InvalidInputError
from queuecast.domain.model import AliasMove
from tests.queuecast.adapters.waits import at_once
from tests.queuecast.domain.records import a_manifest, a_move

MOVES = [
    a_move(1, 1, action="import", job_id="job_1"),
    a_move(2, 2, previous=1, at=1_763_700_000.123456, reason='Zoë says "so"\n'),
    a_move(3, 2, "challenger"),
    a_move(4, 1, action="rollback", previous=2),
]


@pytest.fixture
def trails(tmp_path: Path) -> AuditFiles:
    return AuditFiles(tmp_path)


def written(trails: AuditFiles, tmp_path: Path, model: str = "titanic") -> Path:
    append(trails, MOVES, model)
    return tmp_path / model / FILE


def append(trails: AuditFiles, moves: list[AliasMove], model: str = "titanic") -> None:
    with trails.locked(model) as trail:
        trail.append(moves)


def test_a_model_without_a_trail_has_no_moves_and_no_file(trails: AuditFiles, tmp_path: Path) -> None:
    assert trails.read("titanic") == []
    assert trails.models() == []
    assert list(tmp_path.iterdir()) == []


def test_moves_are_read_as_they_were_appended(trails: AuditFiles) -> None:
    append(trails, MOVES[:1])
    append(trails, MOVES[1:])

    assert trails.read("titanic") == MOVES
    assert trails.models() == ["titanic"]


def test_a_move_is_one_line_of_json(trails: AuditFiles, tmp_path: Path) -> None:
    lines = [json.loads(line) for line in written(trails, tmp_path).read_text().splitlines()]

    assert [(line["generation"], line["alias"], line["version"], line["reason"]) for line in lines] == [
        (move.generation, move.alias, move.version, move.reason) for move in MOVES
    ]
    assert [line["prev"] for line in lines[1:]] == [line["sha256"] for line in lines[:-1]]


def test_an_open_trail_contains_the_appended_moves(trails: AuditFiles) -> None:
    with trails.locked("titanic") as trail:
        trail.append(MOVES[:2])
        trail.append(MOVES[2:])

        assert trail.moves == MOVES
    assert trails.read("titanic") == MOVES


def test_the_registry_does_not_list_the_trail_as_a_version(trails: AuditFiles, tmp_path: Path) -> None:
    models = ModelFiles(tmp_path)
    append(trails, MOVES)

    assert models.models() == []
    assert models.publish(a_manifest(), {"model.skops": b"bytes"}).version == 1
    assert (models.models(), models.versions("titanic")) == (["titanic"], [1])


def test_half_a_last_line_is_ignored_and_removed_by_the_next_append(trails: AuditFiles, tmp_path: Path) -> None:
    path = written(trails, tmp_path)
    whole = path.read_bytes()
    last_line = whole.rindex(b"\n", 0, -1) + 1

    for length in range(last_line, len(whole)):
        path.write_bytes(whole[:length])
        assert trails.read("titanic") == MOVES[:3]
        append(trails, MOVES[3:])
        assert path.read_bytes() == whole


@pytest.mark.parametrize(
    ("touch", "line"),
    [
        pytest.param(lambda lines: [lines[0], lines[1].replace(b"Zo", b"Jo"), *lines[2:]], 2, id="edited"),
        pytest.param(lambda lines: [*lines[:3], lines[3].replace(b'"version":1', b'"version":3')], 4, id="last-edited"),
        pytest.param(lambda lines: lines[1:], 1, id="first-missing"),
        pytest.param(lambda lines: [*lines[:2], lines[3]], 3, id="middle-missing"),
        pytest.param(lambda lines: [lines[0], lines[2], lines[1], lines[3]], 2, id="swapped"),
        pytest.param(lambda lines: [*lines, lines[3]], 5, id="doubled"),
        pytest.param(lambda lines: [*lines[:2], b"", *lines[2:]], 3, id="empty-line"),
        pytest.param(lambda lines: [*lines[:2], b"\xff\x00", *lines[2:]], 3, id="bytes"),
        pytest.param(lambda lines: [lines[0][:-2] + b"0}", *lines[1:]], 1, id="own-hash-edited"),
    ],
)
def test_an_edited_line_is_reported_with_its_number(
    trails: AuditFiles, tmp_path: Path, touch: Callable[[list[bytes]], list[bytes]], line: int
) -> None:
    path = written(trails, tmp_path)
    path.write_bytes(b"".join(each + b"\n" for each in touch(path.read_bytes().split(b"\n")[:-1])))

    with pytest.raises(DamagedFileError, match=rf"titanic/aliases\.jsonl, line {line}: "):
        trails.read("titanic")


def test_every_changed_byte_of_a_complete_line_is_detected(trails: AuditFiles, tmp_path: Path) -> None:
    path = written(trails, tmp_path)
    whole = path.read_bytes()

    for at, byte in enumerate(whole[:-1]):  # without its end the last line is incomplete and ignored
        path.write_bytes(whole[:at] + bytes([byte ^ 1]) + whole[at + 1 :])
        with pytest.raises(DamagedFileError):
            trails.read("titanic")


def test_the_trail_of_another_model_is_detected(trails: AuditFiles, tmp_path: Path) -> None:
    path = written(trails, tmp_path)
    (tmp_path / "wine").mkdir()
    (tmp_path / "wine" / FILE).write_bytes(path.read_bytes())

    with pytest.raises(DamagedFileError, match=r"wine/aliases\.jsonl, line 1: "):
        trails.read("wine")


def test_missing_lines_at_the_end_are_not_detected_by_the_file_alone(trails: AuditFiles, tmp_path: Path) -> None:
    path = written(trails, tmp_path)
    path.write_bytes(b"\n".join(path.read_bytes().split(b"\n")[:2]) + b"\n")

    assert trails.read("titanic") == MOVES[:2]


def test_a_damaged_trail_cannot_be_appended_to(trails: AuditFiles, tmp_path: Path) -> None:
    path = written(trails, tmp_path)
    damaged = path.read_bytes().replace(b"Zo", b"Jo")
    path.write_bytes(damaged)

    with pytest.raises(DamagedFileError):
        append(trails, [a_move(5, 1)])

    assert path.read_bytes() == damaged


def test_writers_take_turns(trails: AuditFiles) -> None:
    def writer() -> None:
        for _ in range(10):
            with trails.locked("titanic") as trail:
                trail.append([a_move(len(trail.moves) + 1, 1)])

    at_once([writer] * 4)

    assert [move.generation for move in trails.read("titanic")] == list(range(1, 41))


def test_a_failed_writer_releases_the_lock(trails: AuditFiles) -> None:
    with pytest.raises(ZeroDivisionError), trails.locked("titanic"):
        raise ZeroDivisionError

    other = threading.Thread(target=append, args=(trails, MOVES), daemon=True)
    other.start()
    other.join(5)

    assert trails.read("titanic") == MOVES


@pytest.mark.parametrize("model", ["../titanic", "a/b", "", ".", "Titanic"])
def test_a_name_cannot_leave_the_folder(trails: AuditFiles, model: str) -> None:
    with pytest.raises(InvalidInputError):
        trails.read(model)
