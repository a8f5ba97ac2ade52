"""Training files of rows that are texts or dicts, with their target."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from tempfile import TemporaryFile
from typing import Any

from queuecast.client.params import champion_target
from queuecast.client.row_formats.json_rows import json_rows, target_names
from queuecast.client.row_formats.table_files import NDJSON, TableFile
from queuecast.client.row_formats.whole_rows import listed_rows
from queuecast.client.table_uploads import upload_table
from queuecast.client.transport import Body, Transport
from queuecast.domain.holdout.row_source import TEXT


def are_whole_rows(source: Any) -> bool:
    """Whether a training on `source` needs its target apart, because the rows have no columns."""
    return not isinstance(source, str) and listed_rows(source) is not None


def upload_with_target(transport: Transport, model_path: str, rows: Any, y: Any) -> tuple[Body, list[str]]:
    """The description of the uploaded file, and the names of the target's columns in it."""
    names = _names_for(transport, model_path, y)
    with training_file(rows, y, names) as table:
        return upload_table(transport, table), names


def _names_for(transport: Transport, model_path: str, y: Any) -> list[str]:
    """The names of the target's columns: its own, or else that of the champion. Raises TypeError without targets."""
    if y is None or isinstance(y, str):
        raise TypeError(f"the target is {y!r}, expected a label or a number for each row, as for fit(X, y)")
    names = target_names(y) or []
    if names == ["target"] and getattr(y, "name", None) is None:
        known = champion_target(transport, model_path)
        names = known if len(known) == 1 else names
    return names


@contextmanager
def training_file(rows: Any, y: Any, names: Sequence[str]) -> Iterator[TableFile]:
    """One JSON object per line. Raises ValueError if rows and target do not have the same length."""
    listed: list[Any] = json_rows(rows)
    targets = _target_rows(y, names)
    if len(listed) != len(targets):
        raise ValueError(f"there are {len(listed)} rows and {len(targets)} targets, expected as many")
    text_name = next(name for name in (TEXT, f"{TEXT}_of_row") if name not in names)
    with TemporaryFile() as content:
        for at, (row, target) in enumerate(zip(listed, targets, strict=True)):
            cells = {text_name: row} if row is None or isinstance(row, str) else row
            hidden = next((name for name in names if name in cells), None)
            if hidden is not None:
                raise ValueError(f"row {at} has the key {hidden!r}, which is the name of the target; name y otherwise")
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
