"""The parts of a push: the model as a skops file, example rows, and metadata."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from queuecast.client.fitted_form import FittedForm, as_fitted, form_of_fit
from queuecast.client.notebook_answers import notebook_answers
from queuecast.client.row_formats.chosen_rows import take
from queuecast.client.row_formats.json_rows import TABLE_MEDIA_TYPE, example_table
from queuecast.client.row_formats.split_rows import has_both_sides, held_out_table
from queuecast.client.row_formats.target_columns import target_names
from queuecast.client.row_formats.text_rows import csv_head
from queuecast.client.transport import Body, FilePart, encode_json
from queuecast.client.unsent_columns import without_unread
from queuecast.domain.holdout import HoldoutRule, Split
from queuecast.domain.pickles import is_pickle
from queuecast.skops_files import skops_bytes

_MODEL_MEDIA_TYPE = "application/octet-stream"


class NotComparedWarning(UserWarning):
    """A model file is pushed without its own answers, so the import cannot compare those of a worker with them."""


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
    x = _own_columns(estimator, x)
    try:
        example = _example_part(form_of_fit(estimator, x))
    except ValueError:
        sent = without_unread(estimator, x)
        if sent is x:
            raise
        example = _example_part(form_of_fit(estimator, sent))
    try:
        model = skops_bytes(estimator)
    except RecursionError:
        raise ValueError(
            f"skops cannot write this {type(estimator).__name__}: one of its parts refers to itself. Frozen "
            "distributions of scipy.stats with numbers can be pushed; another object of that kind has to be replaced"
        ) from None
    return {
        "model": ("model.skops", model, _MODEL_MEDIA_TYPE),
        "example": example,
    }


def _own_columns(estimator: Any, x: Any) -> Any:
    """The columns that the estimator was fitted on, of a frame that has more, such as the id of a customer."""
    names, found = getattr(estimator, "feature_names_in_", None), getattr(x, "columns", None)
    if names is None or found is None or len(found) <= len(names) or not set(names) <= set(found):
        return x
    return x[list(names)]


@contextmanager
def file_parts(path: Path, example_path: Path, target: Sequence[str]) -> Iterator[dict[str, FilePart]]:
    """The files of a push from disk, open while the block runs. Raises ValueError for a pickle.

    Where scikit-learn is installed, the model's own answers go with them; else a NotComparedWarning says why not.
    """
    with path.open("rb") as model:
        _refuse_pickle(path, model.read(8))
        head = csv_head(example_path)
        example: FilePart = (example_path.name, head, "text/csv")
        try:
            example = _compared_example(path, head, target)
        except ImportError:
            _warn(path, "that takes scikit-learn, pandas and skops in this process")
        except Exception as error:  # an estimator raises what it likes, and a broken file makes skops raise anything
            _warn(path, str(error))
        yield {"model": (path.name, model, _MODEL_MEDIA_TYPE), "example": example}


def _warn(path: Path, reason: str) -> None:
    text = f"{path.name} is not compared with where it was fitted: {reason}"
    warnings.warn(text, NotComparedWarning, stacklevel=5)


def _compared_example(path: Path, example: bytes, target: Sequence[str]) -> FilePart:
    """As for a push from memory. Raises an error with the reason if the model does not answer in this process."""
    from queuecast.estimators.opening import opened  # noqa: PLC0415 - needs scikit-learn, which a client may lack

    estimator, rows = opened(path, example, target)
    answers = notebook_answers(estimator, as_fitted(estimator, rows))
    if answers is None:
        raise ValueError("none of its methods answers the rows of the example")
    return _example_part(FittedForm(rows, answers))


def _example_part(fitted: FittedForm) -> FilePart:
    table = example_table(fitted.rows, is_sure=fitted.is_sure)
    return "example.json", encode_json(table | {"answers": fitted.answers}), TABLE_MEDIA_TYPE


@contextmanager
def held_out_part(x: Any, y: Any, holdout: Split | HoldoutRule | None) -> Iterator[tuple[Any, dict[str, FilePart]]]:
    """The rows of the fit, and the file of the held-out rows if x and y have them. Raises ValueError as `fit_table`."""
    if not isinstance(holdout, Split) or not has_both_sides(x, holdout):
        yield x, {}
        return
    fitted = take(x, holdout.train)
    if y is None:
        yield fitted, {}
        return
    with held_out_table(x, y, holdout, target_names(y, x) or []) as table:
        yield fitted, {"held_out": (table.name, table.content, table.media_type)}


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
