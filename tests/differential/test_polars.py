"""Generated frames of polars: an estimator that was fitted on the frame or on its `to_pandas()` and is pushed with the
frame answers as in the notebook, or the push is refused."""

import json
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

from queuecast import holdout
from queuecast.client.row_formats.json_rows import json_rows
from tests.differential import writers
from tests.differential.cells import draw_names
from tests.differential.comparison import EXACT, SINGLE, call, different_rows, flat_rows
from tests.differential.estimators import Recipe, draw_recipe
from tests.differential.kinds import BY_NAME, Kind, Random
from tests.differential.notebook import METHODS
from tests.differential.product import LocalVersion, Refused

SEED = 20261127
TRIALS = 22  # each dtype, in both forms
ROWS = 60
ALONE = 4

DTYPES: tuple[tuple[Any, Kind], ...] = (
    (pl.Int64, BY_NAME["int64"]),
    (pl.UInt8, BY_NAME["uint8"]),
    (pl.Float64, BY_NAME["float64"]),
    (pl.Float32, BY_NAME["float32"]),
    (pl.Boolean, BY_NAME["object: booleans"]),
    (pl.String, BY_NAME["object: words, None"]),
    (pl.Categorical, BY_NAME["category: words"]),
    (pl.Date, BY_NAME["object: dates"]),
    (pl.Datetime("us"), BY_NAME["datetime64[s]"]),
    (pl.Duration("us"), BY_NAME["timedelta64[ns]"]),
    (pl.Decimal(10, 2), BY_NAME["object: decimals"]),
)
REFUSALS = (
    "differently, and it is not known which of them it was fitted on",
    "as in the process that fitted the model",  # an encoder learned None in a column of categories
    "no method of",  # an encoder got all columns of a polars frame as objects
)


@dataclass(frozen=True)
class Trial:
    frame: pl.DataFrame
    form: Any
    """The frame, or its `to_pandas()`: the rows of the fit."""
    target: Any
    recipe: Recipe
    estimator: Any

    def rows(self, positions: Sequence[int]) -> Any:
        return self.form.iloc[list(positions)] if hasattr(self.form, "iloc") else self.form[list(positions)]


def _draw(number: int) -> Trial:
    """A draw that the estimator cannot be fitted on is drawn again."""
    for attempt in count():
        random = np.random.default_rng([SEED, number, attempt])
        first = DTYPES[number // 2 % len(DTYPES)]
        chosen = [first, *(DTYPES[at] for at in random.integers(0, len(DTYPES), int(random.integers(0, 4))))]
        names = draw_names(random, len(chosen))
        holes = {name: random.random() < 0.5 for name in names}
        columns = [_column(random, name, *kind, holes[name]) for name, kind in zip(names, chosen, strict=True)]
        frame = pl.DataFrame(columns)
        recipe = draw_recipe(random, {name: kind for name, (_, kind) in zip(names, chosen, strict=True)}, holes)
        target = None if recipe.task == "none" else _target(random, recipe.task)
        form = frame if number % 2 == 0 else frame.to_pandas()
        if recipe.is_array or recipe.task.startswith("several"):
            continue
        try:
            estimator = clone(recipe.build(names)).fit(form, target)
            call(
                estimator,
                "transform" if recipe.last is None else "score_samples" if target is None else "predict",
                form,
            )
        except Exception:  # an estimator raises what it likes
            if attempt > 300:
                raise
            continue
        return Trial(frame, form, target, recipe, estimator)
    raise AssertionError("count() has no end")


def _column(random: Random, name: str, dtype: Any, kind: Kind, has_holes: bool) -> pl.Series:
    values = [None if has_holes and random.random() < 0.2 else _python(each) for each in kind.draw(random, ROWS)]
    return pl.Series(name, values, dtype=dtype)


def _python(value: Any) -> Any:
    if hasattr(value, "to_pydatetime"):
        return value.to_pydatetime()
    return value.to_pytimedelta() if isinstance(value, timedelta) and hasattr(value, "to_pytimedelta") else value


def _target(random: Random, task: str) -> pl.Series:
    values = random.normal(0, 5, ROWS).round(3) if task == "numbers" else random.integers(0, 2, ROWS)
    return pl.Series("" if random.random() < 0.5 else "the target", values)


def _differences(trial: Trial, estimator: Any, version: LocalVersion, ways: Sequence[str]) -> Iterator[str]:
    everything = range(ROWS)
    for method in METHODS:
        if method not in version.methods:
            continue
        try:
            expected = call(estimator, method, trial.rows(everything))
            alone = [call(estimator, method, trial.rows([at]))[0] for at in range(ALONE)]
        except Exception:  # a method that does not answer in the notebook, either
            continue
        if not all(cell is None or isinstance(cell, str | int | float) for row in expected for cell in row):
            continue  # JSON has a decimal that is passed through as text
        has_single = any(kind in (pl.Float32, pl.UInt8) for kind in trial.frame.dtypes)
        tolerance = SINGLE if has_single or different_rows(alone, expected[:ALONE], EXACT) else EXACT
        found: dict[str, list[Any]] = {}
        if "JSON" in ways:
            found["JSON"] = flat_rows(version.answers(json_rows(trial.frame), method))
        if "alone" in ways:
            rows = [json_rows(trial.frame[at : at + 1]) for at in range(ALONE)]
            found["alone"] = [flat_rows(version.answers(row, method))[0] for row in rows]
        if "file" in ways:
            written = writers.upload(trial.frame, {})
            answer = version.batch(written.content, written.media_type, method, "ndjson")
            lines = [json.loads(line) for line in answer.content.splitlines()]
            found["file"] = [[value for name, value in line.items() if name != "row"] for line in lines]
        for way, answers in found.items():
            right = alone if way == "alone" else expected
            for at in different_rows(answers, right, tolerance)[:1]:
                yield f"{way} {method} row {at} {trial.frame.row(at)}: found {answers[at]}, expected {right[at]}"


def _retrained_differences(trial: Trial, version: LocalVersion) -> Iterator[str]:
    name = trial.target.name or "target"
    written = writers.upload(trial.frame.with_columns(trial.target.alias(name)), {})
    split = holdout(trial.frame)
    positions = list(split.train)
    try:
        expected = clone(trial.estimator).fit(trial.rows(positions), trial.target[positions])
    except Exception:  # a part of the rows may lack a class
        return
    retrained = version.retrained(written.content, written.media_type, (name,))
    yield from _differences(trial, expected, retrained, ["JSON"])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dtype", [pl.Categorical, pl.Enum(["c", "b", "a"])])
@pytest.mark.parametrize("encoder", [OneHotEncoder(handle_unknown="ignore"), OrdinalEncoder()])
def test_categories_with_nulls_under_an_encoder_are_served(tmp_path: Path, dtype: Any, encoder: Any) -> None:
    words = pl.Series("word", ["a", None, "b", "a", "b", None] * 10, dtype=dtype)
    frame = pl.DataFrame([words, pl.Series("size", range(60))])
    estimator = make_pipeline(make_column_transformer((encoder, ["word"]), remainder="passthrough"), Ridge())
    trial = Trial(frame, frame, words.is_null().cast(int).alias("t"), None, None)
    estimator.fit(frame, trial.target)

    version = LocalVersion.pushed(tmp_path, estimator, frame, trial.target)

    assert list(_differences(trial, estimator, version, ["JSON", "alone", "file"])) == []
    assert list(_retrained_differences(replace(trial, estimator=estimator), version)) == []


@pytest.mark.filterwarnings("ignore")
def test_columns_that_no_step_reads_and_that_cannot_be_sent_are_served(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {
            "size": [float(at % 7) for at in range(60)],
            "tags": [["a"], [], None] * 20,
            "place": [{"lat": 1.5}, None] * 30,
            "raw": pl.Series([object(), "x", 1] * 20, dtype=pl.Object),
        }
    )
    target = pl.Series("t", [at % 7 > 3 for at in range(60)]).cast(int)
    estimator = make_pipeline(make_column_transformer(("passthrough", ["size"])), LogisticRegression())
    estimator.fit(frame, target)

    version = LocalVersion.pushed(tmp_path, estimator, frame, target)

    assert version.schema["required"] == ["size"]
    assert version.answers(json_rows(frame[["size"]]), "predict") == estimator.predict(frame).tolist()
    without_objects = writers.upload(frame.drop("raw"), {})
    answer = version.batch(without_objects.content, without_objects.media_type, "predict", "ndjson")
    found = [json.loads(line)["prediction"] for line in answer.content.splitlines()]
    assert found == estimator.predict(frame).tolist()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.xdist_group("differential")
def test_every_answer_to_a_polars_frame_is_the_notebooks() -> None:
    compared: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    wrong = []
    for number in range(TRIALS):
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            trial = _draw(number)
            described = f"trial {number}: {trial.frame.schema} {type(trial.form).__module__} {trial.estimator}"
            try:
                version = LocalVersion.pushed(Path(folder), trial.estimator, trial.frame, trial.target)
                differences = list(_differences(trial, trial.estimator, version, ["JSON", "alone", "file"]))
                if trial.target is not None and number % 4 < 2:
                    differences += _retrained_differences(trial, version)
            except Refused as refusal:
                refused[next((each for each in REFUSALS if each in refusal.detail), f"{described}: {refusal}")] += 1
                continue
            compared.update(str(dtype.base_type()) for dtype in trial.frame.dtypes)
            wrong += [f"{described}: {each}" for each in differences]

    assert wrong == []
    assert refused.keys() <= set(REFUSALS), refused
    assert refused.total() < TRIALS // 4, refused
    assert set(compared) == {str(dtype.base_type()) for dtype, _ in DTYPES}, refused
