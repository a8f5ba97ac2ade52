"""The export of alias moves to files loses and doubles nothing, wherever it is killed and with other exporters."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from queuecast.adapters.disk.audit import FILE, AuditFiles, Trail
from queuecast.adapters.disk.models import ModelFiles
from queuecast.adapters.memory.aliases import MemoryAliases
from queuecast.adapters.redis.aliases import RedisAliases
from queuecast.adapters.redis.connection import connect
from queuecast.domain.errors import UnavailableError
from queuecast.domain.model import AliasMove
from queuecast.ports.aliases import AliasStore
from tests.queuecast.adapters.waits import at_once
from tests.queuecast.domain.records import a_manifest, a_move
from tests.worker.process_deaths import ProcessKilled
from worker.reaper.audit_export import AuditExport

MOVES = [a_move(1, 1), a_move(2, 2, previous=1), a_move(3, 2, "challenger")]


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.redis)])
def aliases(request: pytest.FixtureRequest) -> Iterator[Any]:
    if request.param == "memory":
        yield MemoryAliases()
        return
    with connect(request.getfixturevalue("redis_url")) as client:
        yield RedisAliases(client)


@pytest.fixture
def trails(tmp_path: Path) -> AuditFiles:
    return AuditFiles(tmp_path)


@pytest.fixture
def export(aliases: Any, trails: AuditFiles, tmp_path: Path) -> AuditExport:
    return AuditExport(aliases, trails, ModelFiles(tmp_path))


def moved(aliases: AliasStore, moves: list[AliasMove], model: str = "titanic") -> None:
    for move in moves:
        aliases.move(model, move)


def test_moves_reach_the_file(aliases: Any, trails: AuditFiles, export: AuditExport) -> None:
    moved(aliases, MOVES)
    moved(aliases, MOVES[:1], "wine")

    assert export.export() == 4

    assert (trails.read("titanic"), trails.read("wine")) == (MOVES, MOVES[:1])
    assert aliases.unexported() == []


def test_a_second_export_has_nothing_to_do(aliases: Any, trails: AuditFiles, export: AuditExport) -> None:
    moved(aliases, MOVES)
    export.export()

    assert (export.export(), export.export_all()) == (0, 0)
    assert trails.read("titanic") == MOVES


def test_only_new_moves_are_appended(aliases: Any, trails: AuditFiles, export: AuditExport) -> None:
    moved(aliases, MOVES[:2])
    export.export()
    moved(aliases, MOVES[2:])

    assert export.export() == 1
    assert trails.read("titanic") == MOVES


def test_the_first_export_finds_moves_older_than_the_list(
    aliases: Any, trails: AuditFiles, export: AuditExport, tmp_path: Path
) -> None:
    ModelFiles(tmp_path).publish(a_manifest(), {})
    moved(aliases, MOVES)
    assert aliases.mark_exported("titanic", 3)

    assert (export.export(), export.export_all()) == (0, 3)
    assert trails.read("titanic") == MOVES


def test_a_model_that_never_moved_gets_no_file(export: AuditExport, trails: AuditFiles, tmp_path: Path) -> None:
    ModelFiles(tmp_path).publish(a_manifest(), {})

    assert export.export_all() == 0
    assert trails.models() == []


class Interrupted:
    """Aliases or trails that are killed before, or after, the call of one name."""

    def __init__(self, inner: Any, name: str, *, after: bool) -> None:
        self._inner, self._name, self._after = inner, name, after

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name == "locked":
            return self._locked
        return self._killing(found) if name == self._name else found

    def _killing(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def killing(*args: Any) -> Any:
            if self._after:
                call(*args)
            raise ProcessKilled

        return killing

    @contextmanager
    def _locked(self, model: str) -> Iterator[Any]:
        with self._inner.locked(model) as trail:
            if self._name == "locked":
                raise ProcessKilled
            yield Interrupted(trail, self._name, after=self._after)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", ["unexported", "locked", "history", "append", "mark_exported"])
def test_the_next_export_finishes_one_that_was_killed_at_any_step(
    aliases: Any, trails: AuditFiles, export: AuditExport, tmp_path: Path, step: str, after: bool
) -> None:
    moved(aliases, MOVES[:1])
    export.export()
    moved(aliases, MOVES[1:])
    killed = AuditExport(
        Interrupted(aliases, step, after=after), Interrupted(trails, step, after=after), ModelFiles(tmp_path)
    )
    with pytest.raises(ProcessKilled):
        killed.export()

    assert trails.read("titanic") == MOVES or aliases.unexported() == ["titanic"]
    export.export()
    assert trails.read("titanic") == MOVES
    assert aliases.unexported() == []


def test_the_next_export_repairs_a_line_that_was_cut(
    aliases: Any, trails: AuditFiles, export: AuditExport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved(aliases, MOVES)

    def half(self: Trail, moves: list[AliasMove]) -> None:
        whole(self, moves)
        path = tmp_path / "titanic" / FILE
        path.write_bytes(path.read_bytes()[:-40])
        raise ProcessKilled

    whole = Trail.append
    with monkeypatch.context() as patch:
        patch.setattr(Trail, "append", half)
        with pytest.raises(ProcessKilled):
            export.export()

    assert trails.read("titanic") == MOVES[:2]
    assert export.export() == 1
    assert trails.read("titanic") == MOVES


def test_a_move_while_the_file_is_written_stays_on_the_list(aliases: Any, trails: AuditFiles, tmp_path: Path) -> None:
    class MovedDuringExport(Interrupted):
        def _killing(self, call: Callable[..., Any]) -> Callable[..., Any]:
            def moving(*args: Any) -> Any:
                call(*args)
                moved(aliases, MOVES[2:])

            return moving

        @contextmanager
        def _locked(self, model: str) -> Iterator[Any]:
            with trails.locked(model) as trail:
                yield MovedDuringExport(trail, "append", after=True)

    moved(aliases, MOVES[:2])
    AuditExport(aliases, MovedDuringExport(trails, "append", after=True), ModelFiles(tmp_path)).export()

    assert trails.read("titanic") == MOVES[:2]
    assert aliases.unexported() == ["titanic"]


def test_concurrent_exporters_and_moves_lose_and_double_nothing(
    aliases: Any, trails: AuditFiles, tmp_path: Path
) -> None:
    def mover() -> None:
        for generation in range(1, 61):
            aliases.move("titanic", a_move(generation, generation))

    def exporter() -> None:
        mine = AuditExport(aliases, trails, ModelFiles(tmp_path))
        while len(trails.read("titanic")) < 60:
            mine.export()

    answers = at_once([mover, exporter, exporter, exporter])

    assert answers == [None] * 4
    assert trails.read("titanic") == aliases.history("titanic")
    assert len(trails.read("titanic")) == 60


def test_a_lost_redis_leaves_the_file_and_is_logged_once(
    aliases: Any, trails: AuditFiles, export: AuditExport, tmp_path: Path
) -> None:
    moved(aliases, MOVES)
    export.export()
    before = (tmp_path / "titanic" / FILE).read_bytes()
    fresh = MemoryAliases()
    fresh.move("titanic", a_move(1, 7))
    lost = AuditExport(fresh, trails, ModelFiles(tmp_path))

    with capture_logs() as logged:
        assert (lost.export_all(), lost.export(), lost.export()) == (0, 0, 0)

    assert (tmp_path / "titanic" / FILE).read_bytes() == before
    assert [(line["event"], line["cure"]) for line in logged] == [
        ("audit_trail_forked", "queuecast admin rebuild-aliases")
    ]
    assert "3 moves and Redis 1, of which the first 0 agree" in logged[0]["reason"]
    assert fresh.unexported() == ["titanic"]


def test_an_empty_redis_with_a_trail_is_noticed_at_start_up(
    aliases: Any, trails: AuditFiles, export: AuditExport, tmp_path: Path
) -> None:
    moved(aliases, MOVES)
    export.export()

    with capture_logs() as logged:
        AuditExport(MemoryAliases(), trails, ModelFiles(tmp_path)).export_all()

    assert [line["event"] for line in logged] == ["audit_trail_forked"]


def test_a_damaged_file_does_not_block_the_export_of_other_models(
    aliases: Any, trails: AuditFiles, export: AuditExport, tmp_path: Path
) -> None:
    moved(aliases, MOVES, "a")
    moved(aliases, MOVES, "b")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / FILE).write_text("not a move\n")

    with capture_logs() as logged:
        assert export.export() == 3

    assert trails.read("b") == MOVES
    assert [line["event"] for line in logged if line["log_level"] == "error"] == ["audit_trail_damaged"]


def test_a_read_only_folder_is_logged_and_tried_again(
    aliases: Any, trails: AuditFiles, export: AuditExport, tmp_path: Path
) -> None:
    moved(aliases, MOVES)
    (tmp_path / "titanic").write_text("a file where the folder should be")

    with capture_logs() as logged:
        assert export.export() == 0
    (tmp_path / "titanic").unlink()

    assert [line["event"] for line in logged] == ["audit_trail_write_failed"]
    assert export.export() == 3


@pytest.mark.redis
def test_an_export_without_redis_raises() -> None:
    with connect("redis://127.0.0.1:1/0") as client:
        nowhere = AuditExport(RedisAliases(client), AuditFiles(Path("nowhere")), ModelFiles(Path("nowhere")))

        with pytest.raises(UnavailableError):
            nowhere.export()


# Deleted versions

DELETION = a_move(4, 1, "", "delete_version")


@pytest.fixture
def models(tmp_path: Path) -> ModelFiles:
    """Three versions of one model."""
    models = ModelFiles(tmp_path)
    for number in range(3):
        models.publish(a_manifest(job_id=f"job_{number}"), {"model.skops": b"bytes"})
    return models


def test_the_files_of_a_deleted_version_are_removed(aliases: Any, export: AuditExport, models: ModelFiles) -> None:
    moved(aliases, MOVES)
    aliases.delete("titanic", DELETION)

    with capture_logs() as logs:
        assert export.export() == 4

    assert models.versions("titanic") == [2, 3]
    assert [entry for entry in logs if entry["event"] == "version_removed"] == [
        {"event": "version_removed", "log_level": "info", "model": "titanic", "version": 1}
    ]


def test_the_files_of_a_deleted_model_are_removed(
    aliases: Any, export: AuditExport, models: ModelFiles, trails: AuditFiles, tmp_path: Path
) -> None:
    moved(aliases, MOVES)
    aliases.delete("titanic", a_move(4, 3, "", "delete_model"))

    export.export_all()

    assert models.models() == []
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == [FILE, *["deleted.json"] * 3]
    assert trails.read("titanic") == aliases.history("titanic")


@pytest.mark.parametrize("name", ["locked", "history", "append", "remove", "mark_exported"])
@pytest.mark.parametrize("after", [False, True])
def test_a_removal_that_was_killed_is_finished_later(
    aliases: Any, trails: AuditFiles, models: ModelFiles, tmp_path: Path, name: str, after: bool
) -> None:
    moved(aliases, MOVES)
    aliases.delete("titanic", DELETION)
    parts = [Interrupted(part, name, after=after) for part in (aliases, trails, models)]
    with pytest.raises(ProcessKilled):
        AuditExport(*parts).export()
    if models.versions("titanic") != [1, 2, 3]:  # the trail knows of the deletion first
        assert trails.read("titanic")[-1] == DELETION

    AuditExport(aliases, trails, models).export_all()

    assert models.versions("titanic") == [2, 3]
    assert trails.read("titanic") == aliases.history("titanic")


def test_a_removal_that_fails_is_logged_once_and_tried_again(
    aliases: Any, trails: AuditFiles, models: ModelFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved(aliases, MOVES)
    aliases.delete("titanic", DELETION)
    export = AuditExport(aliases, trails, models)

    def failing(model: str, version: int) -> bool:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patched, capture_logs() as logs:
        patched.setattr(models, "remove", failing)
        export.export()
        export.export_all()
    export.export_all()

    events = [entry["event"] for entry in logs]
    assert (events.count("version_removal_failed"), events.count("alias_moves_exported")) == (1, 1)
    assert models.versions("titanic") == [2, 3]


def test_a_version_that_an_alias_names_stays_in_any_case(aliases: Any, export: AuditExport, models: ModelFiles) -> None:
    moved(aliases, MOVES)
    aliases.delete("titanic", a_move(4, 2, "", "delete_version"))

    export.export()

    assert models.versions("titanic") == [1, 2, 3]
