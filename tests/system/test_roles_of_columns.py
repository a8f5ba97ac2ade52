"""Trainings on several files whose columns have roles, through the whole service."""

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge
from sklearn.mixture import GaussianMixture

import queuecast
from queuecast.client import Client, JobFailed

pytestmark = [pytest.mark.redis, pytest.mark.xdist_group("stack")]

FEATURES = ["age", "income"]


def _customers(n_rows: int = 700) -> pd.DataFrame:
    draw = np.random.default_rng(0)
    rows = pd.DataFrame({"age": draw.normal(size=n_rows), "income": draw.normal(size=n_rows)})
    rows["spent"] = rows["age"] - rows["income"] + draw.normal(scale=0.3, size=n_rows)
    rows["customer"] = draw.integers(1000, 1200, n_rows)
    rows["weight"] = draw.integers(1, 4, n_rows)
    return rows


def test_customers_stay_together_over_several_files(client: Client, tmp_path: Path) -> None:
    rows = _customers()
    split = queuecast.holdout(rows, columns=["customer"])
    train = rows.iloc[split.train]
    fitted = Ridge().fit(train[FEATURES], train["spent"])
    client.push("customers", fitted, rows, rows["spent"], holdout=split).result()
    rows.iloc[:400].to_csv(tmp_path / "may.csv", index=False)
    rows.iloc[400:].to_parquet(tmp_path / "june.parquet", index=False)
    files = [tmp_path / "may.csv", tmp_path / "june.parquet"]

    with warnings.catch_warnings():
        warnings.simplefilter("error")  # no column is ignored
        training = client.train(
            "customers", files, "spent", weight_column="weight", group_column="customer", promote="never"
        )
        result = training.result()
    with pytest.raises(JobFailed) as refused:
        client.train("customers", rows.drop(columns="customer"), "spent").result()

    assert result["verdict"] == "not_worse", result["reason"]
    assert result["rows"] == {"train": len(split.train), "holdout": len(split.test), "bad": 0}
    manifest = client.versions("customers")[0]
    assert (manifest["split_columns"], manifest["lineage"]["roles"]["weight"]) == (["customer"], "weight")
    assert "no column 'customer'" in str(refused.value)


def test_a_density_is_retrained_without_a_target(client: Client, tmp_path: Path) -> None:
    rows = _customers(2000)[FEATURES]
    split = queuecast.holdout(rows)
    fitted = GaussianMixture(1, random_state=0).fit(rows.iloc[split.train])
    client.push("density", fitted, rows.iloc[split.train], holdout=split).result()
    rows.to_csv(tmp_path / "rows.csv", index=False)

    result = client.train("density", tmp_path / "rows.csv").result()

    assert (result["metric"], result["verdict"], result["promoted"]) == ("log_likelihood", "not_worse", True)
