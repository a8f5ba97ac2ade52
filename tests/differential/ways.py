"""The ways of a row to a model: formats, alone and together, in any order, in every result format."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from queuecast.client.row_formats.json_rows import json_rows
from queuecast.client.row_formats.text_rows import parsed_csv_rows
from tests.differential import writers
from tests.differential.cases import Case
from tests.differential.comparison import flat_rows
from tests.differential.product import Refused, Version, client_refusal
from tests.differential.result_files import FORMATS, read_result
from tests.differential.writers import Writer, Written

ROWS_ALONE = 5


@dataclass(frozen=True)
class Asked:
    """The answers of one call, or of one file, to the rows at `positions`. refused: position -> why."""

    positions: Sequence[int]
    found: list[list[Any]]
    refused: Mapping[int, Refused]
    are_texts: bool = False


@dataclass(frozen=True)
class Question:
    """rows: a frame. turn: picks the result format."""

    case: Case
    version: Version
    rows: Any
    method: str
    turn: int


Way = Callable[[Question], list[Asked]]


def _together(question: Question) -> list[Asked]:
    return [_ask(question, _listed(question.case.given(question.rows)), range(len(question.rows)))]


def _alone(question: Question) -> list[Asked]:
    asked = []
    for at in range(min(ROWS_ALONE, len(question.rows))):
        (row,) = _listed(question.case.given(question.rows.iloc[[at]]))
        asked.append(_ask(question, {at: row}, [at]))
    return asked


def _other_order(question: Question) -> list[Asked]:
    """The rows backwards, in two calls."""
    backwards = list(reversed(range(len(question.rows))))
    rows = _listed(question.case.given(question.rows))
    middle = len(rows) // 3
    return [_ask(question, rows, part) for part in (backwards[:middle], backwards[middle:]) if part]


def _dicts(question: Question) -> list[Asked]:
    case = question.case
    if case.recipe.is_array and not case.pushes_frame:
        array = case.given(question.rows)
        # numpy turns a date of nanoseconds into an integer if it makes a list of it.
        rows = [list(row) for row in array] if array.dtype.kind in "mM" else array.tolist()
    else:
        rows = (case.table(question.rows) if case.recipe.is_array else case.given(question.rows)).to_dict("records")
    return [_ask(question, _listed(rows), range(len(question.rows)))]


def _rows_of_csv(question: Question) -> list[Asked]:
    """As the command line sends the rows of a CSV file."""
    table = question.case.table(question.rows)
    written = writers.write_quoted_csv(table, writers.words_of(question.case.table(question.case.frame)))
    rows, _ = parsed_csv_rows(written.content.decode(), question.version.schema)
    return [_ask(question, dict(zip(written.positions, rows, strict=True)), written.positions)]


def _file(writer: Writer, *, is_upload: bool = False) -> Way:
    def ask(question: Question) -> list[Asked]:
        case = question.case
        rows = case.given(question.rows) if is_upload else case.table(question.rows)
        written = writer(rows, writers.words_of(case.table(case.frame)))
        return [_ask_file(question, written)] if written.positions else []

    return ask


WAYS: dict[str, Way] = {
    "JSON": _together,
    "JSON, alone": _alone,
    "JSON, other order": _other_order,
    "JSON, dicts": _dicts,
    "JSON, from CSV": _rows_of_csv,
    "CSV": _file(writers.write_csv),
    "CSV, quoted": _file(writers.write_quoted_csv),
    "NDJSON": _file(writers.write_ndjson),
    "Parquet": _file(writers.write_parquet),
    "upload": _file(writers.upload, is_upload=True),
}
ALONE_WAYS = ("JSON, alone", "JSON, dicts", "CSV", "NDJSON", "Parquet", "upload")
"""Those in which a single row differs from several."""


def _listed(rows: Any) -> list[Any]:
    try:
        return list(json_rows(rows))
    except ValueError as error:
        raise client_refusal(error) from None


def _ask(question: Question, rows: Any, positions: Sequence[int]) -> Asked:
    """Leaves out the rows that the gateway refuses, and asks for the others again."""
    kept, refused = list(positions), {}
    while kept:
        try:
            found = question.version.answers([rows[at] for at in kept], question.method)
        except Refused as refusal:
            if not refusal.rows:
                raise
            refused |= {kept[at]: refusal for at in refusal.rows}
            kept = [position for at, position in enumerate(kept) if at not in refusal.rows]
        else:
            return Asked(kept, flat_rows(found), refused)
    return Asked([], [], refused)


def _ask_file(question: Question, written: Written) -> Asked:
    output_format = FORMATS[question.turn % len(FORMATS)]
    answer = question.version.batch(written.content, written.media_type, question.method, output_format)
    places, cells = read_result(answer.content, output_format)
    positions = [written.positions[place] for place in places]
    refused = {written.positions[bad.row]: Refused(bad.code, bad.detail, bad.column) for bad in answer.bad_rows}
    if sorted([*positions, *refused]) != sorted(written.positions):
        raise AssertionError(f"the result has the rows {positions}, the file {written.positions}")
    are_texts = output_format == "csv"
    return Asked(positions, cells if are_texts else flat_rows(cells), refused, are_texts)
