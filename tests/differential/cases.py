"""Draws a case from a seed: the frame of a fit, its target, an estimator, and the rows to ask it for."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone

from tests.differential.cells import LABELS, draw_names
from tests.differential.estimators import Recipe, draw_recipe
from tests.differential.kinds import KINDS, SERVED, Kind, Random, Role

FIT_ROWS = 60
MAX_DRAWS = 200


@dataclass(frozen=True)
class NewRow:
    """A frame of one row with one cell that the fit did not have, in the dtypes that pandas gives it."""

    column: str
    frame: Any


@dataclass(frozen=True)
class Case:
    """known: rows with cells of the fit. kinds: of each column, in their order.

    labels: column -> its name in the notebook's frame, if the names are not text. pushes_frame: whether an estimator
    that was fitted on an array is pushed with the frame.
    """

    seed: int
    number: int
    kinds: Mapping[str, Kind]
    lead: Kind
    frame: Any
    target: Any
    recipe: Recipe
    known: Any
    new: Sequence[NewRow] = ()
    labels: Mapping[str, Any] | None = None
    pushes_frame: bool = False

    def pushed(self, frame: Any) -> Any:
        """The rows as they are pushed, and split into those of a training and those held out."""
        return frame if self.pushes_frame else self.given(frame)

    def given(self, frame: Any) -> Any:
        """The rows as the estimator takes them."""
        if self.recipe.is_array:
            return frame.to_numpy()
        return frame if self.labels is None else frame.set_axis([self.labels[name] for name in frame.columns], axis=1)

    def table(self, frame: Any) -> Any:
        """The rows as they are written into a file: an array has lost the dtypes of the frame, and names are text."""
        if self.labels is not None:
            return frame.set_axis([str(self.labels[name]) for name in frame.columns], axis=1)
        return pd.DataFrame(self.given(frame), columns=frame.columns) if self.recipe.is_array else frame

    def fitted(self) -> Any:
        estimator = self.recipe.build(list(self.kinds), by_place=self.labels is not None)
        return self.fit(estimator, range(len(self.frame)))

    def fit(self, estimator: Any, positions: Sequence[int]) -> Any:
        """A clone of the estimator, fitted on the rows at these positions."""
        rows = self.given(self.frame.iloc[list(positions)])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return clone(estimator).fit(rows, _taken(self.target, positions))

    def with_columns(self, names: Sequence[str]) -> "Case":
        return replace(
            self,
            kinds={name: self.kinds[name] for name in names},
            frame=self.frame[list(names)],
            known=self.known[list(names)],
            new=[NewRow(row.column, row.frame[list(names)]) for row in self.new if row.column in names],
        )

    def with_fit_rows(self, positions: Sequence[int]) -> "Case":
        frame = self.frame.iloc[list(positions)].reset_index(drop=True)
        return replace(self, frame=frame, target=_reset(_taken(self.target, positions)))

    def with_known(self, positions: Sequence[int]) -> "Case":
        return replace(self, known=self.known.iloc[list(positions)].reset_index(drop=True))

    def __str__(self) -> str:
        columns = ", ".join(f"{name!r}: {kind.name}" for name, kind in self.kinds.items())
        return f"{self.recipe.layout} of {columns}; {_words(self.recipe.build(list(self.kinds)))}"


def draw_case(seed: int, number: int, n_known: int) -> Case:
    """The case with this number. The kind of its first column takes turns; the others are served ones.

    A draw that the estimator cannot be fitted on is drawn again.
    """
    lead = KINDS[number % len(KINDS)]
    for attempt in count():
        random = np.random.default_rng([seed, number, attempt])
        case = _draw(random, seed, number, lead, n_known)
        try:
            estimator = case.fitted()
            answers_known_rows(estimator, case)
        except Exception:  # an estimator raises what it likes
            if attempt == MAX_DRAWS:
                raise
            continue
        return case
    raise AssertionError("count() has no end")


def answers_known_rows(estimator: Any, case: Case) -> None:
    """Raises the estimator's error if no method of it answers the known rows."""
    error: Exception | None = None
    for method in ("predict", "transform", "score_samples"):
        if hasattr(estimator, method):
            try:
                getattr(estimator, method)(case.given(case.known))
            except Exception as raised:  # an estimator raises what it likes
                error = raised
            else:
                return
    raise error or AttributeError("no method")


def _draw(random: Random, seed: int, number: int, lead: Kind, n_known: int) -> Case:
    n_columns = int(random.integers(1, 5))
    kinds = [lead, *(SERVED[at] for at in random.integers(0, len(SERVED), n_columns - 1))]
    if random.random() < 0.2:
        kinds = [lead] * n_columns  # so that arrays of one dtype occur
    names = draw_names(random, n_columns)
    by_name = dict(zip(names, kinds, strict=True))
    holes = {name: bool(kind.missing) and random.random() < 0.6 for name, kind in by_name.items()}
    columns = {name: _column(random, kind, with_holes=holes[name]) for name, kind in by_name.items()}
    frame = pd.DataFrame(columns)
    recipe = draw_recipe(random, by_name, holes)
    if recipe.is_array:
        frame.columns = [f"c{at}" for at in range(n_columns)]
        by_name = dict(zip(frame.columns, kinds, strict=True))
    known = pd.DataFrame({name: _shuffled(random, values, n_known) for name, values in frame.items()})
    case = _named(Case(seed, number, by_name, lead, frame, _target(random, recipe.task), recipe, known))
    return replace(case, new=_new_rows(random, case) if not recipe.is_array else ())


def _named(case: Case) -> Case:
    """Some frames have names that are not text, and some arrays are pushed with their frame."""
    random = np.random.default_rng([case.seed, case.number, 2**20])  # of its own, so that all else stays as it was
    if case.recipe.is_array:
        # In an array of objects, single precision has other digits than in the frame, so other rows are held out.
        is_single = any(name in kind.name for kind in case.kinds.values() for name in ("float16", "loat32"))
        return replace(case, pushes_frame=bool(random.random() < 0.5) and not is_single)
    if random.random() < 0.8:
        return case
    width = len(case.kinds)
    days = pd.date_range("2024-01-01", periods=width)
    styles: list[Any] = [
        range(width),
        random.permutation(width).tolist(),
        days,
        [day.date() for day in days],
        pd.MultiIndex.from_arrays([["level"] * width, range(width)]),
        [0.5 + at for at in range(width)],
    ]
    names = styles[int(random.integers(0, len(styles)))]
    return replace(case, labels=dict(zip(case.kinds, names, strict=True)))


def _column(random: Random, kind: Kind, *, with_holes: bool) -> Any:
    values = kind.draw(random, FIT_ROWS)
    if with_holes:
        for at in np.flatnonzero(random.random(FIT_ROWS) < 0.2):
            values[at] = kind.missing[int(random.integers(0, len(kind.missing)))]
    return kind.series(values)


def _shuffled(random: Random, values: Any, n: int) -> Any:
    """The first rows as they were, then cells drawn from the column."""
    kept = min(n, 5)
    positions = [*range(kept), *random.integers(0, FIT_ROWS, n - kept)]
    return values.iloc[positions].reset_index(drop=True)


def _target(random: Random, task: str) -> Any:
    if task == "none":
        return None
    if task in ("numbers", "several numbers"):
        values = np.round(random.normal(0, 5, (FIT_ROWS, 2 if task.startswith("several") else 1)), 3)
    else:
        labels = LABELS[int(random.integers(0, len(LABELS)))]
        if task == "several classes":
            labels = LABELS[1]
        n_targets = 2 if task.startswith("several") else 1
        chosen = random.integers(0, len(labels), (FIT_ROWS, n_targets))
        chosen[: 2 * len(labels)] = np.arange(2 * len(labels))[:, None] % len(labels)
        values = np.array([labels[at] for at in chosen.ravel()]).reshape(FIT_ROWS, n_targets)
    if task.startswith("several"):
        return values if random.random() < 0.5 else pd.DataFrame(values, columns=["first target", "target"])
    style = int(random.integers(0, 4))
    column = values[:, 0]
    return [column, pd.Series(column), pd.Series(column, name="the target"), column.reshape(-1, 1)][style]


def _new_rows(random: Random, case: Case) -> list[NewRow]:
    rows = []
    for name, kind in case.kinds.items():
        values = _new_values(kind, case.frame[name].dtype)
        if values:
            value = values[int(random.integers(0, len(values)))]
            row = case.known.iloc[[int(random.integers(0, len(case.known)))]].reset_index(drop=True)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                row[name] = value
            rows.append(NewRow(name, row))
    return rows


def _new_values(kind: Kind, fitted_dtype: Any) -> list[Any]:
    """Columns of one cell, in the dtype that a notebook's frame would have."""
    dtype = kind.dtype
    holes = [pd.Series([missing], dtype=fitted_dtype) for missing in kind.missing]
    if isinstance(dtype, str) and dtype.lstrip("u").startswith("int"):
        bounds = np.iinfo(dtype)
        beyond = [bounds.max + 1, bounds.min - 1] if dtype not in ("int64", "uint64") else []
        return [pd.Series([value]) for value in (np.nan, 2.5, *beyond, *beyond)]
    if dtype in ("float16", "float32"):
        return [*holes, kind.series([3.0]), pd.Series([float(np.finfo(dtype).max) * 2])]
    if kind.role is Role.WORD and dtype in ("str", "string", object):
        absent = [] if kind.missing else [pd.Series([np.nan], dtype=object)]
        return [*holes, *absent, *(kind.series([word]) for word in ("never seen", "NA", "", "1"))]
    if dtype == "bool":
        return [pd.Series([np.nan]), pd.Series([1]), pd.Series([0])]
    return holes


def _taken(target: Any, positions: Sequence[int]) -> Any:
    if target is None:
        return None
    return target.iloc[list(positions)] if hasattr(target, "iloc") else target[list(positions)]


def _reset(target: Any) -> Any:
    return target.reset_index(drop=True) if hasattr(target, "iloc") else target


def _words(estimator: Any) -> str:
    return " ".join(repr(estimator).split())
