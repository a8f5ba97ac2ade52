"""A frame of the caller through the whole service: it has columns that the estimator drops, and others it never had."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import queuecast
from queuecast.client import ApiError, Client, IgnoredColumnsWarning

pytestmark = [pytest.mark.redis, pytest.mark.xdist_group("stack")]

N = 60
FRAME = pd.DataFrame(
    {
        "id": [f"id-{at}" for at in range(N)],
        "size": np.linspace(0, 9, N),
        "kind": np.array(["a", "b", "c"])[np.arange(N) % 3],
        "tags": [["x", at] for at in range(N)],
        "seen": pd.date_range("2026-01-01", periods=N),
    }
)
TARGET = pd.Series(np.where((FRAME["size"] > 4) ^ (FRAME["kind"] == "b"), "yes", "no"), name="answer")


def test_dropped_and_extra_columns_change_no_answer(client: Client, tmp_path: Path) -> None:
    split = queuecast.holdout(FRAME[["id", "size", "kind"]])
    columns = ColumnTransformer([("n", StandardScaler(), ["size"]), ("w", OneHotEncoder(), ["kind"])])
    fitted = make_pipeline(columns, LogisticRegression())
    fitted.fit(FRAME.iloc[split.train], TARGET.iloc[split.train])
    client.push("dropping", fitted, FRAME.iloc[split.train], TARGET.iloc[split.train], holdout=split).result()
    expected = fitted.predict_proba(FRAME).tolist()

    with pytest.warns(IgnoredColumnsWarning, match="a column that the model does not have was ignored: note"):
        predicted = client.predict("dropping", FRAME.assign(note="n"), method="predict_proba").result()
    few = client.predict("dropping", FRAME[["kind", "size"]], method="predict_proba").result()
    batch = client.predict_file("dropping", FRAME.assign(note="n"), id_column="id", method="predict_proba")
    with pytest.warns(IgnoredColumnsWarning, match="ignored: note"):
        batch.result()
    answers = pd.read_csv(batch.download(tmp_path / "answers.csv"))
    training = client.train("dropping", FRAME[["id", "size", "kind"]].assign(answer=TARGET), "answer").result()

    assert predicted["probabilities"] == pytest.approx(np.array(expected), rel=1e-9)
    assert few["probabilities"] == pytest.approx(np.array(expected), rel=1e-9)
    assert answers["id"].tolist() == FRAME["id"].tolist()
    assert answers[["probability_no", "probability_yes"]].to_numpy() == pytest.approx(np.array(expected), rel=1e-9)
    assert training["champion"]["score"] == pytest.approx(training["challenger"]["score"])
    with pytest.raises(ApiError) as refused:
        client.predict("dropping", FRAME.assign(note="n"), extra_columns="refuse")
    assert refused.value.status == 422
