"""An inexact answer counts as wrong."""

import math
from pathlib import Path
from typing import Any

import pytest

from bench.bulk_file import write_rows, wrong_rows
from bench.known_answers import Known, is_same, wrong_answers

EXPECTED = [[0.25, 0.75], [0.5, 0.5], [0.125, 0.875]]


@pytest.mark.parametrize(
    "found",
    [
        None,
        "503 b'too many'",
        [],
        [[0.25]],
        [[0.25, 0.75], [0.5, 0.5]],
        [[0.75, 0.25]],
        [[0.25, 0.75 * (1 + 2e-9)]],
        [[0.25, math.nan]],
        [[0.25, None]],
        [0.25, 0.75],
    ],
)
def test_an_inexact_answer_is_wrong(found: Any) -> None:
    assert not is_same(found, EXPECTED[:1])


def test_an_answer_may_differ_in_the_last_bits() -> None:
    assert is_same([[0.25, 0.75 * (1 + 1e-10)]], EXPECTED[:1])


def test_the_right_answer_to_another_row_is_wrong() -> None:
    wrong = wrong_answers([(0, [EXPECTED[1]]), (1, [EXPECTED[1]])], 1, EXPECTED)

    assert wrong == [[EXPECTED[1]]]


def test_the_rows_of_a_job_wrap_around_after_the_last_row() -> None:
    assert wrong_answers([(2, [EXPECTED[2], EXPECTED[0]])], 2, EXPECTED) == []


def known(folder: Path) -> Known:
    return Known(None, [], EXPECTED, "a,b\n1,x\n2,y\n3,z\n", b"", folder)


def test_a_file_repeats_the_rows_until_there_are_enough(tmp_path: Path) -> None:
    write_rows(known(tmp_path), 7, tmp_path / "rows.csv")

    assert (tmp_path / "rows.csv").read_text() == "a,b\n" + "1,x\n2,y\n3,z\n" * 2 + "1,x\n"


@pytest.mark.parametrize(
    ("lines", "wrong"),
    [
        (["1,0.25,0.75", "2,0.5,0.5", "3,0.125,0.875", "4,0.25,0.75"], 0),
        (["1,0.25,0.75", "2,0.5,0.5", "3,0.125,0.875"], 1),
        (["1,0.25,0.75", "2,0.5,0.500001", "3,0.125,0.875", "4,0.25,0.75"], 1),
        (["1,0.25,0.75", "3,0.5,0.5", "2,0.125,0.875", "4,0.25,0.75"], 2),
        (["1,0.25,0.75", "2,0.5,0.5", "3,0.125,0.875", "4,0.25,0.75", "5,0.5,0.5"], 1),
        (["1,0.25,0.75", "2,,", "3,0.125,0.875", "4,0.25,0.75"], 1),
    ],
)
def test_missing_moved_and_inexact_rows_of_a_result_are_wrong(lines: list[str], wrong: int, tmp_path: Path) -> None:
    (tmp_path / "result.csv").write_text("\n".join(["row,probability_0,probability_1", *lines]) + "\n")

    assert wrong_rows(known(tmp_path), 4, tmp_path / "result.csv") == wrong


def test_a_result_with_other_columns_is_all_wrong(tmp_path: Path) -> None:
    (tmp_path / "result.csv").write_text("row,prediction\n1,0\n2,0\n3,0\n4,0\n")

    assert wrong_rows(known(tmp_path), 4, tmp_path / "result.csv") == 4
