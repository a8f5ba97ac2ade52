"""Valid names, the champion before the current one, and the trail of alias moves."""

import pytest

from queuecast.domain.errors import ForkedTrailError, InvalidInputError
from queuecast.domain.model import (
    Aliases,
    aliases_after,
    moves_beyond,
    moves_in_common,
    previous_champion,
    require_alias,
    require_name,
    without_previous_champion,
)
from tests.queuecast.domain.records import a_move

HISTORIES: dict[str, tuple[list[tuple[str, str, int]], int | None]] = {
    "nothing moved yet": ([], None),
    "one champion": ([("import", "champion", 1)], None),
    "one promotion": ([("import", "champion", 1), ("promote", "champion", 2)], 1),
    "two promotions": ([("import", "champion", 1), ("promote", "champion", 2), ("promote", "champion", 3)], 2),
    "a rollback leaves nothing before": (
        [("import", "champion", 1), ("promote", "champion", 2), ("rollback", "champion", 1)],
        None,
    ),
    "a second rollback goes back two promotions": (
        [
            ("import", "champion", 1),
            ("promote", "champion", 2),
            ("promote", "champion", 3),
            ("rollback", "champion", 2),
        ],
        1,
    ),
    "two rollbacks use up two promotions": (
        [
            ("import", "champion", 1),
            ("promote", "champion", 2),
            ("promote", "champion", 3),
            ("rollback", "champion", 2),
            ("rollback", "champion", 1),
        ],
        None,
    ),
    "a promotion after a rollback leaves the rolled back one out": (
        [
            ("import", "champion", 1),
            ("promote", "champion", 2),
            ("rollback", "champion", 1),
            ("promote", "champion", 3),
        ],
        1,
    ),
    "a put by hand counts as a promotion": (
        [("import", "champion", 1), ("put", "champion", 5), ("put", "champion", 3)],
        5,
    ),
    "a put back by hand is a move of its own": (
        [("import", "champion", 1), ("put", "champion", 2), ("put", "champion", 1)],
        2,
    ),
    "a put to the present champion does not count": (
        [("import", "champion", 1), ("promote", "champion", 2), ("put", "champion", 2), ("put", "champion", 2)],
        1,
    ),
    "other aliases do not count": (
        [("import", "champion", 1), ("put", "challenger", 2), ("promote", "champion", 3), ("put", "canary", 9)],
        1,
    ),
    "a deleted version is passed over": (
        [
            ("import", "champion", 1),
            ("promote", "champion", 2),
            ("promote", "champion", 3),
            ("delete_version", "", 2),
        ],
        1,
    ),
    "a rollback past a deleted version uses it up": (
        [
            ("import", "champion", 1),
            ("promote", "champion", 2),
            ("promote", "champion", 3),
            ("promote", "champion", 4),
            ("delete_version", "", 3),
            ("rollback", "champion", 2),
        ],
        1,
    ),
    "a version that was champion before and after a deleted one is one champion": (
        [
            ("import", "champion", 1),
            ("put", "champion", 2),
            ("put", "champion", 1),
            ("put", "champion", 3),
            ("delete_version", "", 2),
        ],
        1,
    ),
    "all champions before were deleted": (
        [("import", "champion", 1), ("promote", "champion", 2), ("delete_version", "", 1)],
        None,
    ),
    "a deleted model leaves no champion": (
        [("import", "champion", 1), ("promote", "champion", 2), ("delete_model", "", 2)],
        None,
    ),
    "a model begins again after its deletion": (
        [
            ("import", "champion", 1),
            ("promote", "champion", 2),
            ("delete_model", "", 2),
            ("import", "champion", 3),
            ("promote", "champion", 4),
        ],
        3,
    ),
    "other aliases alone": ([("put", "challenger", 1), ("put", "challenger", 2)], None),
}


@pytest.mark.parametrize(("moves", "expected"), HISTORIES.values(), ids=HISTORIES)
def test_a_rollback_returns_to_the_previous_champion(moves: list[tuple[str, str, int]], expected: int | None) -> None:
    history = [
        a_move(generation, version, alias, action) for generation, (action, alias, version) in enumerate(moves, 1)
    ]

    assert previous_champion(history) == expected


@pytest.mark.parametrize(
    ("moves", "words"),
    [
        ([("import", 1)], "has had only one champion"),
        ([("import", 1), ("promote", 2), ("rollback", 1)], "has been rolled back, to version 1"),
        ([("import", 1), ("promote", 2), ("delete_version", 1)], "before version 2 were deleted"),
        ([("import", 1), ("put", 2), ("put", 3), ("rollback", 2), ("delete_version", 1)], "before version 2 were del"),
        ([("import", 1), ("put", 2), ("rollback", 1), ("delete_version", 2)], "has been rolled back, to version 1"),
        ([("import", 1), ("put", 2), ("delete_model", 2), ("import", 3)], "has had only one champion"),
    ],
)
def test_why_there_is_no_previous_champion(moves: list[tuple[str, int]], words: str) -> None:
    history = [
        a_move(generation, version, "" if "delete" in action else "champion", action)
        for generation, (action, version) in enumerate(moves, 1)
    ]

    assert previous_champion(history) is None
    assert words in without_previous_champion("titanic", history)


@pytest.mark.parametrize("name", ["a", "0", "titanic", "a-b_c", "9lives", "a" * 64, "a-", "a_"])
def test_a_name_of_lowercase_letters_digits_and_dashes_is_valid(name: str) -> None:
    require_name(name, "model")


@pytest.mark.parametrize(
    "name",
    ["", "-a", "_a", "A", "a b", "a.b", "..", ".", "a/b", "a\\b", "a" * 65, "ä", "a\n", "\na", "a\x00", "\u0661", "~"],
)
def test_any_other_name_is_refused_with_its_pointer(name: str) -> None:
    with pytest.raises(InvalidInputError, match="is not a name") as caught:
        require_name(name, "model", "/name")

    assert [(finding.pointer, finding.code) for finding in caught.value.findings] == [("/name", "bad_name")]


def test_a_very_long_name_is_shortened_in_the_error() -> None:
    with pytest.raises(InvalidInputError) as caught:
        require_name("a" * 100_000, "model")

    assert len(caught.value.detail) < 300


def test_aliases_point_to_the_version_of_their_last_move() -> None:
    moves = [a_move(1, 1), a_move(2, 2, "challenger"), a_move(3, 2), a_move(4, 3, "challenger")]

    assert aliases_after(moves) == Aliases(4, {"champion": 2, "challenger": 3})
    assert aliases_after([]) == Aliases()


def test_a_deleted_alias_is_none_until_it_is_moved_again() -> None:
    moves = [a_move(1, 1), a_move(2, 2, "blue"), a_move(3, 2, "blue", "delete"), a_move(4, 3, "blue")]

    assert aliases_after(moves[:3]) == Aliases(3, {"champion": 1})
    assert aliases_after(moves) == Aliases(4, {"champion": 1, "blue": 3})


def test_a_deleted_version_stays_deleted() -> None:
    moves = [a_move(1, 1), a_move(2, 2, "blue"), a_move(3, 3), a_move(4, 1, "", "delete_version")]

    assert aliases_after(moves) == Aliases(4, {"champion": 3, "blue": 2}, frozenset({1}))


def test_a_deleted_model_has_no_aliases_until_a_later_version_gets_one() -> None:
    moves = [a_move(1, 1), a_move(2, 2, "blue"), a_move(3, 3, "", "delete_model"), a_move(4, 4)]

    assert aliases_after(moves[:3]) == Aliases(3, {}, frozenset({1, 2, 3}))
    assert aliases_after(moves) == Aliases(4, {"champion": 4}, frozenset({1, 2, 3}))


@pytest.mark.parametrize("name", ["0", "7", "007", "9" * 64])
def test_a_number_is_the_name_of_a_model_and_not_of_an_alias(name: str) -> None:
    require_name(name, "model")

    with pytest.raises(InvalidInputError, match="is a number"):
        require_alias(name)


@pytest.mark.parametrize("filed", range(4))
def test_moves_beyond_a_trail_are_the_moves_after_it(filed: int) -> None:
    stored = [a_move(1, 1), a_move(2, 2), a_move(3, 3)]

    assert moves_beyond(stored[:filed], stored) == stored[filed:]


@pytest.mark.parametrize(
    ("stored", "same"),
    [([], 0), ([1], 1), ([1, 9], 1), ([9, 2], 0), ([9, 2, 3], 0), ([1, 9, 3, 4], 1)],
)
def test_a_trail_is_forked_if_the_stored_moves_do_not_begin_with_it(stored: list[int], same: int) -> None:
    filed = [a_move(1, 1), a_move(2, 2)]
    other = [a_move(at, version) for at, version in enumerate(stored, 1)]

    with pytest.raises(ForkedTrailError, match=f"2 moves and Redis {len(stored)}, of which the first {same} agree"):
        moves_beyond(filed, other)
    assert moves_in_common(filed, other) == same
