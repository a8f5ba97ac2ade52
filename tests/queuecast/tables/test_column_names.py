"""The gateway, a worker and the client refuse the head of a table by the same rules and in the same words."""

import time
from pathlib import Path

import pytest

from api.services.table_headers import csv_header, feature_findings
from queuecast.client.row_formats.text_rows import parsed_csv_rows
from queuecast.domain.errors import InvalidInputError
from queuecast.domain.file_formats import FileFormat
from queuecast.domain.findings.bounds import SHOWN_NAMES, list_names
from queuecast.domain.signature import Column, ColumnType, Layout, Signature
from queuecast.domain.work import Method
from queuecast.tables.column_names import (
    columns_refused,
    duplicate_names,
    missing_column,
    named_or_in_order,
)
from worker.tables.file_columns import require_columns

FRAME, ARRAY = (
    Signature(layout, tuple(Column(f"x{at}", ColumnType.NUMBER, True, "float64") for at in range(2)), (Method.PREDICT,))
    for layout in (Layout.FRAME, Layout.ARRAY)
)
REFUSED = {
    "missing column": (FRAME, "x0,age"),
    "another separator": (FRAME, "x0;x1"),
    "wrong number": (ARRAY, "a,b,c"),
    "duplicate name": (FRAME, "x0,x1,x1"),
    "index of a frame": (ARRAY, ",b"),
    "not CSV": (FRAME, '"x0"x,x1'),
}


def _gateway_refusal(path: Path, signature: Signature) -> str:
    with pytest.raises(InvalidInputError) as caught:
        names = csv_header(path)
        raise columns_refused(feature_findings(names, signature), names, signature)
    return caught.value.detail


def _worker_refusal(path: Path, signature: Signature) -> str:
    with pytest.raises(InvalidInputError) as caught:
        require_columns(path, FileFormat.CSV, signature)
    return caught.value.detail


@pytest.mark.parametrize(("signature", "header"), REFUSED.values(), ids=REFUSED)
def test_gateway_and_worker_refuse_a_header_in_the_same_words(
    tmp_path: Path, signature: Signature, header: str
) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(f"{header}\n1,2,3\n")

    assert _gateway_refusal(path, signature) == _worker_refusal(path, signature)


@pytest.mark.parametrize("refused", ["wrong number", "duplicate name", "index of a frame"])
def test_the_client_refuses_a_header_in_the_words_of_the_worker(tmp_path: Path, refused: str) -> None:
    signature, header = REFUSED[refused]
    path = tmp_path / "rows.csv"
    path.write_text(f"{header}\n1,2,3\n")

    with pytest.raises(ValueError, match="the ") as caught:
        parsed_csv_rows(path.read_text(), signature.json_schema())

    assert _worker_refusal(path, signature).startswith(str(caught.value))


@pytest.mark.parametrize(("n_names", "ending"), [(SHOWN_NAMES, "c19"), (SHOWN_NAMES + 1, "c19, ... (21 in all)")])
def test_an_error_lists_at_most_twenty_names(n_names: int, ending: str) -> None:
    assert list_names([f"c{at}" for at in range(n_names)]).endswith(ending)


def test_a_long_name_keeps_its_beginning_and_its_end() -> None:
    finding = missing_column("a" * 1000 + "z" * 1000)

    assert finding.column == "a" * 40 + "..." + "z" * 17
    assert finding.detail == f"the file has no column {finding.column!r}"


def test_a_duplicate_among_many_names_is_found_at_once() -> None:
    names = [f"c{index}" for index in range(40_000)]
    began = time.monotonic()

    (finding,) = duplicate_names([*names, "c39999"])

    assert finding.column == "c39999"
    assert time.monotonic() - began < 2


def test_features_among_many_other_columns_are_found_at_once() -> None:
    others = [f"c{index}" for index in range(60_000)]
    began = time.monotonic()

    assert named_or_in_order([*others, "a", "b"], ["x0", "x1"], others) == ["a", "b"]
    assert time.monotonic() - began < 2
