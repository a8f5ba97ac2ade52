"""The parts of a push: the model as a skops file, example rows, and metadata."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from queuecast.client.json_rows import TABLE_MEDIA_TYPE, example_table
from queuecast.client.notebook_answers import notebook_answers
from queuecast.client.text_rows import csv_head
from queuecast.client.transport import Body, FilePart, encode_json
from queuecast.domain.holdout import HoldoutRule, Split
from queuecast.domain.pickles import is_pickle
from queuecast.skops_files import skops_bytes

_MODEL_MEDIA_TYPE = "application/octet-stream"


def estimator_parts(estimator: Any, x: Any) -> dict[str, FilePart]:
    """The files of a push from memory. x: the rows that the estimator was fitted on.

    Raises TypeError for a class or a path, ImportError without skops, ValueError if a column of x cannot be sent or
    the estimator cannot be written.
    """
    if isinstance(estimator, str | Path):
        raise TypeError("push takes the fitted estimator itself; push_file takes the path of a skops file")
    if isinstance(estimator, type):
        raise TypeError(f"push takes a fitted estimator, found a class; expected {estimator.__name__}().fit(X, y)")
    try:
        import skops.io  # noqa: F401, PLC0415 - only a push needs it
    except ImportError as error:
        raise ImportError("push needs skops to write the estimator: pip install skops") from error
    example = encode_json(example_table(x) | {"answers": notebook_answers(estimator, x)})
    try:
        model = skops_bytes(estimator)
    except RecursionError:
        raise ValueError(
            f"skops cannot write this {type(estimator).__name__}: one of its parts refers to itself. Frozen "
            "distributions of scipy.stats with numbers can be pushed; another object of that kind has to be replaced"
        ) from None
    return {
        "model": ("model.skops", model, _MODEL_MEDIA_TYPE),
        "example": ("example.json", example, TABLE_MEDIA_TYPE),
    }


@contextmanager
def file_parts(path: Path, example_path: Path) -> Iterator[dict[str, FilePart]]:
    """The files of a push from disk, open while the block runs. Raises ValueError for a pickle."""
    with path.open("rb") as model:
        _refuse_pickle(path, model.read(8))
        yield {
            "model": (path.name, model, _MODEL_MEDIA_TYPE),
            "example": (example_path.name, csv_head(example_path), "text/csv"),
        }


def push_metadata(target: Sequence[str] | None, holdout: Split | HoldoutRule | None, description: str | None) -> Body:
    if not isinstance(holdout, Split | HoldoutRule | None):
        raise TypeError(f"holdout is a {type(holdout).__name__}, expected the return value of queuecast.holdout(X)")
    rule = holdout.rule if isinstance(holdout, Split) else holdout
    split = rule and {"method": rule.method, "fraction": rule.fraction, "columns": list(rule.columns)}
    metadata: Body = {"target": target, "holdout": split}
    return metadata if description is None else metadata | {"description": description}


def _refuse_pickle(path: Path, start: bytes) -> None:
    if path.suffix.lower() in (".pkl", ".pickle", ".joblib") or is_pickle(start):
        to = str(path.with_suffix(".skops"))
        raise ValueError(
            f"{path} is a pickle, which can run any code when it is loaded; if you trust it, convert it: "
            f'python -c "import joblib, skops.io as sio; sio.dump(joblib.load({str(path)!r}), {to!r})"'
        )
