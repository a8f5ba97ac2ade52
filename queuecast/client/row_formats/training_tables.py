"""Training files of rows that are texts or dicts, with their target."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from tempfile import TemporaryFile
from typing import Any

from queuecast.client.row_formats.fit_tables import fit_target_names
from queuecast.client.row_formats.json_rows import json_rows
from queuecast.client.row_formats.table_files import NDJSON, TableFile, open_table
from queuecast.client.row_formats.whole_rows import are_texts, listed_rows
from queuecast.client.table_uploads import upload_table
from queuecast.client.trainings.params import champion_target
from queuecast.client.transport import Body, Transport
from queuecast.domain.holdout.row_source import TEXT


def are_whole_rows(source: Any) -> bool:
    """Whether a training on `source` needs its target apart, because the rows have no columns."""
    return not isinstance(source, str) and listed_rows(source) is not None


def upload_with_target(transport: Transport, model_path: str, rows: Any, target: Any, y: Any) -> tuple[Body, list[str]]:
    """The description of the uploaded file, and the names of the target's columns in it.

    target, y: as for `Client.train`. Raises TypeError without targets, and ValueError for a name that is a key.
    """
    listed = listed_rows(rows) or []
    if y is None and isinstance(target, str) and not are_texts(listed):
        with open_table(listed) as table:
            return upload_table(transport, table), [target]
    if y is None:
        target, y = None, target
    if y is None or isinstance(y, str):
        raise TypeError(f"the target is {y!r}, expected a label or a number for each row, as for fit(X, y)")
    names = fit_target_names(rows, y, target, champion_target(transport, model_path))
    with training_file(rows, y, names) as table:
        return upload_table(transport, table), names


@contextmanager
def training_file(rows: Any, y: Any, names: Sequence[str]) -> Iterator[TableFile]:
    """One JSON object per line. names: of the targets, none of them a key of the rows.

    Raises ValueError if rows and targets do not have the same length.
    """
    listed: list[Any] = json_rows(rows)
    targets = _target_rows(y, names)
    if len(listed) != len(targets):
        raise ValueError(f"there are {len(listed)} rows and {len(targets)} targets, expected as many")
    text_name = next(name for name in (TEXT, f"{TEXT}_of_row") if name not in names)
    with TemporaryFile() as content:
        for row, target in zip(listed, targets, strict=True):
            cells = {text_name: row} if row is None or isinstance(row, str) else row
            content.write(json.dumps(cells | target).encode() + b"\n")
        content.seek(0)
        yield TableFile(content, NDJSON, "rows.ndjson")


def _target_rows(y: Any, names: Sequence[str]) -> list[dict[str, Any]]:
    values = y.to_numpy() if hasattr(y, "to_numpy") else y
    values = values.tolist() if hasattr(values, "tolist") else list(values)
    if values and not isinstance(values[0], list | tuple):
        values = [[value] for value in values]
    rows: list[Any] = json_rows(values)
    return [dict(zip(names, row, strict=True)) for row in rows]
