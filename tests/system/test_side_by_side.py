"""Imports while another import or a training is running."""

from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator
from sklearn.linear_model import LinearRegression
from sklearn.neural_network import MLPRegressor
from sklearn.preprocessing import StandardScaler

from queuecast import Client, JobHandle
from tests.system.conftest import wait_for

pytestmark = [pytest.mark.redis, pytest.mark.xdist_group("stack"), pytest.mark.filterwarnings("ignore")]

WAIT_S = 120.0
RANDOM = np.random.default_rng(0)
ROWS = pd.DataFrame(RANDOM.normal(size=(300, 3)), columns=["a", "b", "c"])
TARGET = pd.Series(ROWS.sum(axis=1), name="y")


def _pushed(client: Client, name: str, estimator: BaseEstimator, rows: Any = ROWS, target: Any = TARGET) -> JobHandle:
    return client.push(name, estimator.fit(rows, target), rows, target)


def _wait_until_running(job: JobHandle) -> None:
    wait_for(lambda: job.refresh().state != "queued", f"the start of {job.id}", WAIT_S)


def _time(job: JobHandle, name: str) -> datetime:
    return datetime.fromisoformat(job.body[name])


def test_a_small_model_is_imported_while_a_wide_one_is(client: Client) -> None:
    n_columns = 7_000
    wide = pd.DataFrame(RANDOM.normal(size=(100, n_columns)), columns=[f"c{at}" for at in range(n_columns)])
    slow = _pushed(client, "wide", StandardScaler(), wide, None)
    _wait_until_running(slow)

    small = _pushed(client, "small", LinearRegression())

    assert small.wait(WAIT_S).state == "succeeded", small.body
    assert slow.wait(WAIT_S).state == "succeeded", slow.body
    assert _time(slow, "started_at") < _time(small, "started_at") < _time(slow, "finished_at")
    assert _time(small, "finished_at") < _time(slow, "finished_at")


def test_a_training_holds_up_other_trainings_but_no_import(client: Client) -> None:
    endless = MLPRegressor(hidden_layer_sizes=(64,), max_iter=2, n_iter_no_change=10**9, tol=0.0)
    table = ROWS.assign(y=TARGET)
    _pushed(client, "endless", endless).result(WAIT_S)
    _pushed(client, "quick", LinearRegression()).result(WAIT_S)

    first = client.train("endless", table, "y", {"max_iter": 10**7}, promote="never")
    _wait_until_running(first)
    second = client.train("quick", table, "y", promote="never")
    imported = _pushed(client, "between", LinearRegression()).wait(WAIT_S)

    assert imported.state == "succeeded", imported.body
    assert (first.refresh().state, second.refresh().state) == ("running", "queued")

    first.cancel()

    assert second.wait(WAIT_S).state == "succeeded", second.body
    assert first.wait(WAIT_S).state == "canceled"
