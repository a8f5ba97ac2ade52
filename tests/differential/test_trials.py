"""The comparison finds what is wrong, says where, and repeats itself."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import OrdinalEncoder

from tests.differential.cases import Case, draw_case
from tests.differential.comparison import different_rows, different_texts
from tests.differential.estimators import Recipe
from tests.differential.kinds import BY_NAME, KINDS
from tests.differential.product import BatchAnswer, LocalVersion, Refused
from tests.differential.report import BEGIN, END, text, write
from tests.differential.shrinking import shrunk
from tests.differential.tally import Tally
from tests.differential.trials import ALL, Scope, Trial, push_locally, run_locally

pytestmark = pytest.mark.filterwarnings("ignore")

WORDS = ["red", "NA", "blue"] * 10


def words_and_numbers() -> Case:
    frame = pd.DataFrame({"color": pd.Series(WORDS, dtype=object), "size": np.arange(30.0)})
    kinds = {"color": BY_NAME["object: words"], "size": BY_NAME["float64"]}
    recipe = Recipe("columns", {"color": OrdinalEncoder(), "size": "passthrough"}, None, "none")
    return Case(1, 0, kinds, kinds["color"], frame, None, recipe, frame.head(12))


class WrongVersion:
    """Answers as the version that it wraps, but for rows with this color."""

    def __init__(self, version: LocalVersion, color: str) -> None:
        self._version = version
        self._color = color
        self.methods = version.methods
        self.schema = version.schema

    def answers(self, rows: list[Any], method: str) -> list[Any]:
        pairs = zip(rows, self._version.answers(rows, method), strict=True)
        return [[9.0, *answer[1:]] if row.get("color") == self._color else answer for row, answer in pairs]

    def batch(self, content: bytes, media_type: str, method: str, output_format: str) -> BatchAnswer:
        return self._version.batch(content, media_type, method, output_format)

    def retrained(self, content: bytes, media_type: str, target: tuple[str, ...]) -> LocalVersion:
        return self._version.retrained(content, media_type, target)


def run_wrongly(folder: Path) -> Callable[[Case, Tally, Scope], None]:
    def run(case: Case, tally: Tally, scope: Scope = ALL) -> None:
        Trial(case, tally, scope).run(lambda *given: WrongVersion(push_locally(folder)(*given), "NA"))

    return run


def test_a_wrong_answer_is_reported_with_its_row_and_both_answers(tmp_path: Path) -> None:
    tally = Tally()

    run_wrongly(tmp_path)(words_and_numbers(), tally, Scope(["JSON"]))

    (difference,) = tally.differences
    assert (difference.way, difference.method, difference.trial, difference.seed) == ("JSON", "transform", 0, 1)
    assert difference.row == {"color": "NA", "size": 1.0}
    assert (difference.expected, difference.found) == ([0.0, 1.0], [9.0, 1.0])
    assert difference.kinds == {"color": "object: words", "size": "float64"}
    assert str(difference) in text(tally)


def test_a_difference_is_shrunk_to_the_column_that_shows_it(tmp_path: Path) -> None:
    tally = Tally()
    case, run = words_and_numbers(), run_wrongly(tmp_path)
    run(case, tally, Scope(["JSON"]))

    smallest = shrunk(case, tally.differences[0], run)

    assert smallest.row == {"color": "NA"}
    assert smallest.fit_rows <= 3


def test_a_right_version_has_no_difference() -> None:
    tally = Tally()

    run_locally(words_and_numbers(), tally)

    assert tally.differences == []
    assert tally.compared["object: words", "CSV"] == 12
    assert tally.compared["float64", "JSON, alone"] == 5


def test_a_refused_push_is_counted_with_its_reason() -> None:
    def refuse(*given: Any) -> LocalVersion:
        raise Refused("unsupported_column", "column 'color' of 3 words", "color")

    tally = Tally()
    Trial(words_and_numbers(), tally).run(refuse)

    assert dict(tally.refused_pushes) == {("object: words", "unsupported_column: column … of … words"): 1}
    assert tally.differences == []


def test_a_crash_is_a_difference() -> None:
    def crash(*given: Any) -> LocalVersion:
        raise KeyError("a fault")

    tally = Tally()
    Trial(words_and_numbers(), tally).run(crash)

    assert [each.found for each in tally.differences] == ["keyerror: 'a fault'"]


def test_a_seed_repeats_its_cases() -> None:
    first, again = (draw_case(7, 3, 20) for _ in range(2))

    assert str(first) == str(again)
    pd.testing.assert_frame_equal(first.known, again.known)


def test_the_first_column_takes_turns_through_all_dtypes() -> None:
    assert [draw_case(7, number, 6).lead for number in range(len(KINDS))] == list(KINDS)


@pytest.mark.parametrize(
    ("found", "expected", "differs"),
    [
        ([1.0, "a", None], [1.0, "a", None], False),
        ([1.0 + 1e-12], [1.0], False),
        ([1.0001], [1.0], True),
        ([1], [1.0], False),
        ([1], [True], True),
        (["1"], [1], True),
        ([None], [0.0], True),
        ([1.0, 2.0], [1.0], True),
    ],
)
def test_which_answers_differ(found: list[Any], expected: list[Any], differs: bool) -> None:
    assert bool(different_rows([found], [expected], 1e-9)) is differs


@pytest.mark.parametrize(
    ("found", "expected", "differs"),
    [
        ("1.5", 1.5, False),
        ("true", True, False),
        ("1", True, True),
        ("'=a", "=a", False),
        ("1", "1", False),
        ("", None, False),
        ("x", 1.0, True),
    ],
)
def test_which_cells_of_a_csv_file_differ(found: str, expected: Any, differs: bool) -> None:
    assert bool(different_texts([[found]], [[expected]], 1e-9)) is differs


def test_the_page_keeps_the_text_around_its_result(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")

    write(page, "new")

    assert page.read_text() == f"before\n{BEGIN}\n\nnew\n\n{END}\nafter\n"


def test_a_page_without_its_place_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before")

    with pytest.raises(ValueError, match="no place"):
        write(page, "new")
