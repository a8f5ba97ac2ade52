"""A pushed file takes the model's own answers along where scikit-learn is installed; else a warning says why not."""

import io
import json
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from queuecast import Client
from queuecast.client import NotComparedWarning
from queuecast.client.fitted_form import as_fitted
from queuecast.client.notebook_answers import notebook_answers
from queuecast.client.row_formats.json_rows import TABLE_MEDIA_TYPE, example_table
from tests.queuecast.scripted_gateway import Answer, ScriptedGateway, job, parts_of

PUSH = "POST /v1/models/m/versions"
ROWS = pd.DataFrame({"n": np.arange(12.0), "word": ["red", "blue", "green"] * 4})
LABELS = [0, 1] * 6
PIPELINE = make_pipeline(
    ColumnTransformer([("n", StandardScaler(), ["n"]), ("word", OneHotEncoder(), ["word"])]), LogisticRegression()
).fit(ROWS, LABELS)
UNNAMED = DecisionTreeClassifier(max_depth=2).fit(ROWS[["n"]].to_numpy(), LABELS)


def own_step(rows: Any) -> Any:
    return rows


def sent(gateway: ScriptedGateway, folder: Path, model: bytes, rows: pd.DataFrame) -> tuple[str, bytes]:
    """The example that a push of the file sends."""
    gateway.on(PUSH, Answer(job(type="import"), 202))
    (folder / "m.skops").write_bytes(model)
    rows.to_csv(folder / "rows.csv", index=False)
    with Client(gateway.url) as client:
        client.push_file("m", folder / "m.skops", folder / "rows.csv", "label")
    return parts_of(gateway.only_request(PUSH))["example"]


@pytest.mark.parametrize(("estimator", "rows"), [(PIPELINE, ROWS), (UNNAMED, ROWS[["n"]])], ids=["frame", "array"])
def test_the_example_is_that_of_a_push_from_memory(
    gateway: ScriptedGateway, tmp_path: Path, estimator: Any, rows: Any
) -> None:
    table = ROWS[list(getattr(estimator, "feature_names_in_", ["n"]))].assign(label=LABELS)

    media_type, example = sent(gateway, tmp_path, skops.io.dumps(estimator), table)

    assert media_type == TABLE_MEDIA_TYPE
    answers = notebook_answers(estimator, as_fitted(estimator, rows))
    assert json.loads(example) == example_table(rows) | {"answers": answers}


def with_none() -> Any:
    rows = pd.DataFrame({"n": ROWS["n"], "word": pd.Series([None, "x"] * 6, dtype=object)})
    return make_pipeline(ColumnTransformer([("word", OneHotEncoder(), ["word"])]), LogisticRegression()).fit(
        rows, LABELS
    )


def with_namibia() -> Any:
    rows = ROWS.assign(word=["NA", "DE"] * 6)
    return make_pipeline(ColumnTransformer([("word", OneHotEncoder(), ["word"])]), LogisticRegression()).fit(
        rows, LABELS
    )


def with_an_empty_word() -> Any:
    fill = SimpleImputer(missing_values="", strategy="most_frequent")
    return make_pipeline(fill, OneHotEncoder()).fit(ROWS[["word"]].astype(object))


def with_a_function_of_its_own() -> Any:
    return make_pipeline(FunctionTransformer(own_step), LinearRegression()).fit(ROWS[["n"]], LABELS)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (with_none, "the model knows the value None"),
        (with_namibia, "the model knows the value 'NA'"),
        (with_an_empty_word, "the model knows the value ''"),
        (with_a_function_of_its_own, "the model holds types that are not trusted: .*own_step"),
    ],
)
def test_a_model_that_csv_or_trust_does_not_allow_to_open_is_sent_as_it_is(
    gateway: ScriptedGateway, tmp_path: Path, make: Any, reason: str
) -> None:
    model = skops.io.dumps(make())

    with pytest.warns(NotComparedWarning, match=f"m.skops is not compared with where it was fitted: {reason}"):
        media_type, example = sent(gateway, tmp_path, model, ROWS)

    assert (media_type, example) == ("text/csv", (tmp_path / "rows.csv").read_bytes())


def test_a_model_of_another_scikit_learn_is_sent_as_it_is(gateway: ScriptedGateway, tmp_path: Path) -> None:
    with pytest.warns(NotComparedWarning, match="it was fitted with scikit-learn 1.2.3, this process has"):
        media_type, _ = sent(gateway, tmp_path, of_version(skops.io.dumps(PIPELINE), "1.2.3"), ROWS)

    assert media_type == "text/csv"


def of_version(model: bytes, version: str) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(model)) as archive, zipfile.ZipFile(target, "w") as changed:
        for name in archive.namelist():
            content = archive.read(name)
            if name == "schema.json":
                content = json.dumps(renamed(json.loads(content), version)).encode()
            changed.writestr(name, content)
    return target.getvalue()


def renamed(node: Any, version: str) -> Any:
    if isinstance(node, list):
        return [renamed(each, version) for each in node]
    if not isinstance(node, dict):
        return node
    changed = {key: renamed(value, version) for key, value in node.items()}
    if "_sklearn_version" in changed:
        changed["_sklearn_version"] = changed["_sklearn_version"] | {"content": json.dumps(version)}
    return changed


@pytest.mark.parametrize("package", ["sklearn.exceptions", "pandas", "skops.io"])
def test_without_scikit_learn_the_file_is_sent_as_it_is(
    gateway: ScriptedGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    model = skops.io.dumps(PIPELINE)
    monkeypatch.delitem(sys.modules, "queuecast.estimators.opening", raising=False)
    monkeypatch.setitem(sys.modules, package, None)

    with pytest.warns(NotComparedWarning, match="that takes scikit-learn, pandas and skops in this process"):
        media_type, _ = sent(gateway, tmp_path, model, ROWS)

    assert media_type == "text/csv"


def test_an_example_without_a_column_is_left_to_the_import(gateway: ScriptedGateway, tmp_path: Path) -> None:
    with pytest.warns(NotComparedWarning, match="the example lacks the column 'word'"):
        media_type, _ = sent(gateway, tmp_path, skops.io.dumps(PIPELINE), ROWS[["n"]])

    assert media_type == "text/csv"
