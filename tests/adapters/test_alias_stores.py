"""One suite for every AliasStore: in memory and in Redis."""

from collections.abc import Callable
from typing import Any

import pytest

from queuecast.domain.errors import PreconditionFailedError
from queuecast.domain.model import Aliases, AliasMove
from queuecast.ports import AliasStore
from tests.adapters.waits import at_once
from tests.domain.records import a_move


def test_a_model_without_aliases_has_generation_zero(aliases: AliasStore) -> None:
    assert aliases.read("titanic") == Aliases(0, {})


def test_a_model_without_aliases_has_no_history(aliases: AliasStore) -> None:
    assert aliases.history("titanic") == []


def test_each_move_counts_the_generation_on(aliases: AliasStore) -> None:
    aliases.move("titanic", a_move(1, 1))
    aliases.move("titanic", a_move(2, 2, "challenger"))
    aliases.move("titanic", a_move(3, 2))

    assert aliases.read("titanic") == Aliases(3, {"champion": 2, "challenger": 2})


def test_the_history_has_every_move_as_it_was_written_oldest_first(aliases: AliasStore) -> None:
    moves = [
        a_move(1, 1, action="import", job_id="job_1"),
        a_move(2, 2, previous=1, reason="Zoë says so"),
        a_move(3, 1, action="rollback", previous=2),
    ]

    for move in moves:
        aliases.move("titanic", move)

    assert aliases.history("titanic") == moves


@pytest.mark.parametrize("generation", [0, 1, 2, 4, 9])
def test_a_move_from_another_generation_is_refused_and_changes_nothing(aliases: AliasStore, generation: int) -> None:
    first, second = a_move(1, 1), a_move(2, 2)
    aliases.move("titanic", first)
    aliases.move("titanic", second)

    with pytest.raises(PreconditionFailedError, match=f"at generation 2, not at {generation - 1}"):
        aliases.move("titanic", a_move(generation, 7))

    assert (aliases.read("titanic"), aliases.history("titanic")) == (Aliases(2, {"champion": 2}), [first, second])


def test_models_do_not_share_aliases(aliases: AliasStore) -> None:
    aliases.move("titanic", a_move(1, 1))
    aliases.move("wine", a_move(1, 5))

    assert (aliases.read("titanic"), aliases.read("wine")) == (Aliases(1, {"champion": 1}), Aliases(1, {"champion": 5}))


def test_an_alias_may_have_the_name_of_the_counter(aliases: AliasStore) -> None:
    aliases.move("titanic", a_move(1, 7, "generation"))

    assert aliases.read("titanic") == Aliases(1, {"generation": 7})


def test_of_two_moves_that_saw_the_same_one_wins(aliases: AliasStore) -> None:
    rivals = [a_move(1, version) for version in range(1, 9)]

    answers = at_once([moving(aliases, move) for move in rivals])

    winners = [move for move, answer in zip(rivals, answers, strict=True) if answer is None]
    assert aliases.history("titanic") == winners
    assert sum(isinstance(answer, PreconditionFailedError) for answer in answers) == 7


def test_under_a_race_every_entry_follows_the_one_before(aliases: AliasStore) -> None:
    def promoting() -> None:
        for _ in range(20):
            present = aliases.read("titanic")
            move = a_move(present.generation + 1, present.generation + 1, previous=present.versions.get("champion"))
            try:
                aliases.move("titanic", move)
            except PreconditionFailedError:
                continue

    at_once([promoting] * 4)

    history = aliases.history("titanic")
    assert [move.previous for move in history] == [None, *(move.version for move in history[:-1])]
    assert aliases.read("titanic") == Aliases(len(history), {"champion": history[-1].version})


def test_a_model_that_moved_is_listed_until_its_moves_are_filed(aliases: Any) -> None:
    aliases.move("wine", a_move(1, 1))
    aliases.move("titanic", a_move(1, 1))
    aliases.move("titanic", a_move(2, 2))

    assert aliases.unfiled() == ["titanic", "wine"]
    assert aliases.mark_filed("titanic", 2)
    assert aliases.unfiled() == ["wine"]


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_model_stays_listed_when_it_has_another_number_of_moves(aliases: Any, count: int) -> None:
    aliases.move("titanic", a_move(1, 1))
    aliases.move("titanic", a_move(2, 2))

    assert not aliases.mark_filed("titanic", count)
    assert aliases.unfiled() == ["titanic"]


def test_a_refused_move_lists_nothing(aliases: Any) -> None:
    with pytest.raises(PreconditionFailedError):
        aliases.move("titanic", a_move(2, 1))

    assert aliases.unfiled() == []


def test_a_rebuild_replaces_aliases_generation_and_history(aliases: AliasStore) -> None:
    aliases.move("titanic", a_move(1, 9, "canary"))
    moves = [a_move(1, 1), a_move(2, 2, "challenger"), a_move(3, 2, previous=1)]

    aliases.rebuild("titanic", moves, 1)

    assert aliases.read("titanic") == Aliases(3, {"champion": 2, "challenger": 2})
    assert aliases.history("titanic") == moves


def test_after_a_rebuild_moves_go_on(aliases: AliasStore) -> None:
    aliases.rebuild("titanic", [a_move(1, 1), a_move(2, 2)], 0)

    aliases.move("titanic", a_move(3, 1))

    assert aliases.read("titanic") == Aliases(3, {"champion": 1})


def test_a_rebuild_that_saw_another_generation_is_refused_and_changes_nothing(aliases: AliasStore) -> None:
    aliases.move("titanic", a_move(1, 1))

    with pytest.raises(PreconditionFailedError, match="at generation 1, not at 0"):
        aliases.rebuild("titanic", [a_move(1, 5), a_move(2, 6)], 0)

    assert (aliases.read("titanic"), aliases.history("titanic")) == (Aliases(1, {"champion": 1}), [a_move(1, 1)])


def moving(aliases: AliasStore, move: AliasMove) -> Callable[[], None]:
    return lambda: aliases.move("titanic", move)
