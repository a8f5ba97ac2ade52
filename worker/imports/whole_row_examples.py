"""The example rows of a pushed model whose rows are texts or dicts."""

from pathlib import Path
from typing import Any

from queuecast.domain.errors import InvalidInputError, ModelRefusedError
from queuecast.domain.holdout.row_source import TEXT
from queuecast.tables.text_column import lacks_text_column, text_column
from worker.models.columns.column_facts import ColumnFacts
from worker.models.frames import MISSING_VALUES
from worker.models.rows.texts import is_form, texts_as_fitted
from worker.tables.csv_reader import read_csv_cells


def texts_of_table(name: str, form: str, facts: ColumnFacts, rows: list[list[Any]]) -> Any:
    """rows: lists of one text, or of null. Raises ModelRefusedError for anything else."""
    if not is_form(form):
        raise ModelRefusedError(f"the example has texts in the form {form!r}, which is not known")
    for index, row in enumerate(rows):
        if len(row) != 1 or not isinstance(row[0], str | None):
            raise ModelRefusedError(f"row {index} of the example is not a text")
    return texts_as_fitted(form, [row[0] for row in rows], MISSING_VALUES[facts.first_missing], name)


def dicts_of_table(rows: list[list[Any]]) -> list[dict[str, Any]]:
    """rows: lists of one JSON object. Raises ModelRefusedError for anything else."""
    for index, row in enumerate(rows):
        if len(row) != 1 or not isinstance(row[0], dict):
            raise ModelRefusedError(f"row {index} of the example is not an object")
    return [row[0] for row in rows]


def read_texts_of_csv(path: Path, target: tuple[str, ...]) -> tuple[Any, dict[str, ColumnFacts]]:
    """The texts of a CSV file, and the name of their column. Empty cells are left out: CSV does not tell an empty text
    from a missing one."""
    frame = read_csv_cells(path)
    names = list(map(str, frame.columns))
    name = text_column(names, TEXT, target)
    if name is None:
        raise InvalidInputError(lacks_text_column(TEXT).detail)
    texts = frame.loc[frame[name] != "", name].reset_index(drop=True)
    if texts.empty:
        raise InvalidInputError("the example has no texts; expected some of the texts that the estimator was fitted on")
    return texts, {name: ColumnFacts()}
