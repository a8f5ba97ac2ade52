"""Models of texts and of dicts through the whole service: predictions, batches in each format, a training."""

import json
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.feature_extraction import DictVectorizer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import queuecast
from queuecast import Client
from queuecast.client import JobHandle

pytestmark = [pytest.mark.redis, pytest.mark.xdist_group("stack")]

N = 80
FEW_ROWS = {"min_rows": 10, "min_class_rows": 1}
WORDS = np.array(["good", "bad", "slow", "NA", 'a "quoted", one', "two\nlines", "två"])
TEXTS = pd.Series([" ".join(WORDS[np.array([at, at * at, at // 3]) % len(WORDS)]) for at in range(N)], name="review")
LIKED = ["yes" if "good" in text or "två" in text else "no" for text in TEXTS]
DICTS: list[dict[str, Any]] = [
    {"city": ["Ulm", "NA", "Köln"][at % 3], "age": at % 9} | ({"vip": at % 2 == 0} if at % 5 else {}) for at in range(N)
]
OPEN = [int(row["age"] > 4 or row["city"] == "NA") for row in DICTS]


def fitted(vectorizer: Any, rows: Any, target: list[Any], train: list[int]) -> Any:
    chosen = rows.iloc[train] if hasattr(rows, "iloc") else [rows[at] for at in train]
    return make_pipeline(vectorizer, LogisticRegression(C=5.0)).fit(chosen, [target[at] for at in train])


def batch_answers(job: JobHandle, path: Path) -> list[list[float]]:
    job.result(60)
    assert list(job.errors()) == []
    read = {".csv": pd.read_csv, ".parquet": pd.read_parquet, ".json": pd.read_json}
    table = read[path.suffix](job.download(path))
    found: list[list[float]] = table.filter(like="probability").to_numpy().tolist()
    return found


def test_texts_are_predicted_in_every_format_and_trained(client: Client, tmp_path: Path) -> None:
    split = queuecast.holdout(TEXTS)
    model = fitted(TfidfVectorizer(), TEXTS, LIKED, split.train)
    client.push("reviews", model, TEXTS.iloc[split.train], holdout=split).result(60)
    expected = model.predict_proba(TEXTS)
    table = pd.DataFrame({"id": range(N), "review": TEXTS})
    files = {
        "csv": table.to_csv(index=False).encode(),
        "ndjson": b"".join(json.dumps({"id": at, "review": text}).encode() + b"\n" for at, text in enumerate(TEXTS)),
        "parquet": table.to_parquet(index=False),
    }

    for rows in (TEXTS, TEXTS.tolist(), pl.Series(TEXTS.tolist())):
        predicted = client.predict("reviews", rows, method="predict_proba").result(60)
        assert predicted["probabilities"] == pytest.approx(expected, rel=1e-9)
    for suffix, content in files.items():
        path = tmp_path / f"rows.{suffix}"
        path.write_bytes(content)
        job = client.predict_file("reviews", path, method="predict_proba", id_column="id")
        answers = batch_answers(job, tmp_path / f"answers-{suffix}.csv")
        assert answers == pytest.approx(expected, rel=1e-9), suffix
    listed = client.predict_file("reviews", TEXTS.tolist(), method="predict_proba", output_format="parquet")
    assert batch_answers(listed, tmp_path / "answers.parquet") == pytest.approx(expected, rel=1e-9)

    trained = client.train("reviews", TEXTS, target="liked", y=LIKED, gate=FEW_ROWS).result(60)
    again = client.predict("reviews", TEXTS, version=trained["version"], method="predict_proba").result(60)

    assert trained["rows"] == {"train": len(split.train), "holdout": len(split.test), "bad": 0}
    assert trained["verdict"] != "incomparable"
    refitted = fitted(TfidfVectorizer(), TEXTS, LIKED, split.train)
    assert again["probabilities"] == pytest.approx(refitted.predict_proba(TEXTS), rel=1e-9)


def test_dicts_are_predicted_in_every_format_and_trained(client: Client, tmp_path: Path) -> None:
    split = queuecast.holdout(DICTS)
    model = fitted(DictVectorizer(), DICTS, OPEN, split.train)
    examples = [DICTS[at] for at in split.train]
    client.push("shops", model, examples, [OPEN[at] for at in split.train], holdout=split).result(60)
    expected = model.predict_proba(DICTS)
    table = pd.DataFrame(DICTS)
    files = {
        "csv": table.to_csv(index=False).encode(),
        "ndjson": b"".join(json.dumps(row).encode() + b"\n" for row in DICTS),
        "parquet": table.assign(vip=table["vip"].astype("boolean")).to_parquet(index=False),
    }

    predicted = client.predict("shops", DICTS, method="predict_proba").result(60)
    assert predicted["probabilities"] == pytest.approx(expected, rel=1e-9)
    for suffix, content in files.items():
        path = tmp_path / f"rows.{suffix}"
        path.write_bytes(content)
        job = client.predict_file("shops", path, method="predict_proba", output_format="json")
        answers = batch_answers(job, tmp_path / f"answers-{suffix}.json")
        assert answers == pytest.approx(expected, rel=1e-9), suffix

    with_target = [row | {"open": label} for row, label in zip(DICTS, OPEN, strict=True)]
    for rows, y in ((DICTS, OPEN), (with_target, None)):
        result = client.train("shops", rows, target="open", y=y, gate=FEW_ROWS).result(60)
        refitted = fitted(DictVectorizer(), DICTS, OPEN, split.train)
        again = client.predict("shops", DICTS, version=result["version"], method="predict_proba").result(60)
        assert result["rows"] == {"train": len(split.train), "holdout": len(split.test), "bad": 0}
        assert result["verdict"] != "incomparable"
        assert again["probabilities"] == pytest.approx(refitted.predict_proba(DICTS), rel=1e-9)


def test_an_id_of_rows_in_a_request_is_in_the_result(client: Client) -> None:
    model = make_pipeline(DictVectorizer(), LogisticRegression()).fit(DICTS, OPEN)
    client.push("shops-with-ids", model, DICTS).result(60)
    rows = [row | {"key": f"k{at}"} for at, row in enumerate(DICTS)]
    body = {"inputs": rows, "id_column": "key", "output_format": "json"}

    job_id = httpx2.post(f"{client.url}/v1/models/shops-with-ids/batches", json=body).json()["id"]
    client.job(job_id).result(60)
    answers = httpx2.get(f"{client.url}/v1/jobs/{job_id}/result").json()

    expected = [
        {"row": at + 1, "key": f"k{at}", "prediction": label} for at, label in enumerate(model.predict(DICTS).tolist())
    ]
    assert answers == expected
