"""The cells of weights, groups and times."""

import numpy as np
import pyarrow as pa
import pytest

from queuecast.domain.columns.roles import ColumnRoles
from queuecast.domain.errors import InvalidInputError
from worker.labelled.role_cells import RoleCells


def _read(role: str, *ranges: list[object]) -> RoleCells:
    cells = RoleCells(ColumnRoles(**{role: "c"}))
    for values in ranges:
        (text,) = cells.texts({"c": pa.array(values)})
        assert list(cells.faults([text])) == []
        cells.chunks[0].append(text)
    return cells


def _codes(role: str, values: list[object]) -> list[tuple[str, list[int]]]:
    cells = RoleCells(ColumnRoles(**{role: "c"}))
    faults = cells.faults(cells.texts({"c": pa.array(values)}))
    return [(fault.code, np.flatnonzero(fault.mask).tolist()) for fault in faults]


@pytest.mark.parametrize(
    ("role", "values", "codes"),
    [
        ("weight", ["1", "0", "2.5"], []),
        ("weight", ["1", "-0.5", "x", None, "inf", "NA"], [("null", [3]), ("wrong_type", [1, 2, 4, 5])]),
        ("weight", [1.0, float("nan"), -1.0], [("null", [1]), ("wrong_type", [2])]),
        ("group", ["a", None, "NA"], [("null", [1])]),
        ("time", ["2026-01-31", "2026-01-31T12:00:00Z", "2026-01-31 12:00"], []),
        ("time", ["31.1.2026", None, "soon", "7"], [("null", [1]), ("wrong_type", [0, 2])]),
    ],
)
def test_a_cell_that_does_not_fit_its_role_is_a_fault(
    role: str, values: list[object], codes: list[tuple[str, list[int]]]
) -> None:
    assert _codes(role, values) == codes


def test_groups_of_several_formats_are_the_same_groups() -> None:
    cells = _read("group", ["7", "8"], [8, 7], [7.0, 9.0])

    assert cells.groups().tolist() == [0, 1, 1, 0, 0, 2]


def test_moments_of_several_formats_have_one_order() -> None:
    stamp = np.datetime64("2026-01-02T00:00", "ns")
    cells = _read("time", ["2026-01-03", "2026-01-01T12:00:00+02:00"], [stamp])

    times = cells.times()

    assert times is not None
    assert [times.text(value) for value in sorted(times.values)] == [
        "2026-01-01T10:00:00.000000Z",
        "2026-01-02T00:00:00.000000Z",
        "2026-01-03T00:00:00.000000Z",
    ]


def test_numbers_and_dates_have_no_common_order() -> None:
    with pytest.raises(InvalidInputError, match="numbers and dates, which have no common order"):
        _read("time", ["5"], ["2026-01-01"]).times()


def test_a_recorded_time_is_read_again() -> None:
    numbers, moments = _read("time", [3, 5]).times(), _read("time", ["2026-01-01"]).times()

    assert numbers is not None
    assert moments is not None
    assert numbers.value(numbers.text(numbers.values[1])) == 5.0
    assert moments.value(moments.text(moments.values[0])) == moments.values[0]
    assert (numbers.value("2026-01-01T00:00:00Z"), moments.value("5.0")) == (None, None)
