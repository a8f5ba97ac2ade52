"""Aliases move by compare-and-set: whoever moved one meanwhile wins, unless it was another one."""

from collections.abc import Callable

import pytest

from queuecast.adapters.memory import MemoryAliases
from queuecast.domain.errors import PreconditionFailedError
from queuecast.domain.model import CHALLENGER, CHAMPION, Aliases, AliasMove, Manifest
from queuecast.domain.signature import Layout, Signature
from queuecast.domain.work import Method
from worker.promotion import promote

MODEL = "model"
SIGNATURE = Signature(Layout.FRAME, (), (Method.PREDICT,))


def _version(number: int) -> Manifest:
    return Manifest(MODEL, number, "0" * 64, 10, 1.0, f"job_{number}", "training", "Estimator()", {}, SIGNATURE)


def _set(aliases: MemoryAliases, alias: str, version: int) -> None:
    present = aliases.read(MODEL)
    aliases.move(
        MODEL, AliasMove(present.generation + 1, alias, version, present.versions.get(alias), 5.0, "set", "by hand")
    )


def _promoted(aliases: MemoryAliases, version: int, expected: int | None, alias: str = CHAMPION) -> bool:
    return promote(
        aliases, _version(version), expected=expected, at=7.0, action="training", reason="better", alias=alias
    )


class Overtaken(MemoryAliases):
    """Somebody else writes between the first look of `promote` and its move."""

    def __init__(self, write: Callable[[MemoryAliases], None]) -> None:
        super().__init__()
        self._write: Callable[[MemoryAliases], None] | None = None
        self._armed = write

    def arm(self) -> None:
        self._write = self._armed

    def read(self, model: str) -> Aliases:
        seen = super().read(model)
        write, self._write = self._write, None
        if write is not None:
            write(self)
        return seen


@pytest.mark.parametrize(
    ("standing", "expected", "moves"),
    [(None, None, True), (1, 1, True), (1, None, False), (3, 1, False), (None, 1, False)],
)
def test_an_alias_moves_only_from_where_it_was_expected(
    standing: int | None, expected: int | None, moves: bool
) -> None:
    aliases = MemoryAliases()
    if standing is not None:
        _set(aliases, CHAMPION, standing)

    assert _promoted(aliases, 2, expected) is moves
    assert aliases.read(MODEL).versions.get(CHAMPION) == (2 if moves else standing)


def test_a_move_is_written_to_the_audit_trail_with_all_that_is_known() -> None:
    aliases = MemoryAliases()
    _set(aliases, CHAMPION, 1)

    _promoted(aliases, 2, 1)

    assert aliases.history(MODEL)[-1] == AliasMove(2, CHAMPION, 2, 1, 7.0, "training", "better", "job_2")


def test_a_move_that_was_refused_is_not_in_the_audit_trail() -> None:
    aliases = MemoryAliases()
    _set(aliases, CHAMPION, 3)

    _promoted(aliases, 2, 1)

    assert [move.version for move in aliases.history(MODEL)] == [3]


def test_another_alias_leaves_the_champion_alone() -> None:
    aliases = MemoryAliases()
    _set(aliases, CHAMPION, 1)

    assert _promoted(aliases, 2, None, CHALLENGER)
    assert aliases.read(MODEL).versions == {CHAMPION: 1, CHALLENGER: 2}


def test_a_person_who_moves_the_champion_between_look_and_move_wins() -> None:
    aliases = Overtaken(lambda store: _set(store, CHAMPION, 9))
    _set(aliases, CHAMPION, 1)
    aliases.arm()

    assert _promoted(aliases, 2, 1) is False
    assert aliases.read(MODEL).versions == {CHAMPION: 9}


def test_a_move_of_another_alias_between_look_and_move_does_not_stop_a_promotion() -> None:
    aliases = Overtaken(lambda store: _set(store, CHALLENGER, 9))
    _set(aliases, CHAMPION, 1)
    aliases.arm()

    assert _promoted(aliases, 2, 1) is True
    assert aliases.read(MODEL).versions == {CHAMPION: 2, CHALLENGER: 9}


def test_of_two_first_versions_only_one_becomes_champion() -> None:
    aliases = Overtaken(lambda store: _set(store, CHAMPION, 1))
    aliases.arm()

    assert _promoted(aliases, 2, None) is False
    assert aliases.read(MODEL).versions == {CHAMPION: 1}


def test_a_stale_generation_cannot_move_an_alias() -> None:
    aliases = MemoryAliases()
    _set(aliases, CHAMPION, 1)

    with pytest.raises(PreconditionFailedError):
        aliases.move(MODEL, AliasMove(1, CHAMPION, 2, None, 7.0, "set"))
