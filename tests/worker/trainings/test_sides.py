"""A row that the champion was fitted on is not held out, whichever digits and columns the split and the file have."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder

from queuecast.domain.holdout import Split, holdout
from queuecast.domain.work import PromotionPolicy, TrainingWork
from tests.worker.model_fixtures import LocalService
from worker.trainings import runner

pytestmark = pytest.mark.filterwarnings("ignore")

N = 120
RANDOM = np.random.default_rng(0)
NUMBERS = RANDOM.normal(size=N)
WORDS = np.array(["x", "y"])[RANDOM.integers(0, 2, N)]
FRAMES = {
    "float32, float64": pd.DataFrame({"a": NUMBERS.astype("float32"), "b": NUMBERS[::-1]}),
    "short float32, int64": pd.DataFrame({"a": NUMBERS.round(2).astype("float32"), "b": np.arange(N) % 9}),
    "float16, float32": pd.DataFrame({"a": NUMBERS.astype("float16"), "b": NUMBERS[::-1].astype("float32")}),
    "float32, words": pd.DataFrame({"a": NUMBERS.astype("float32"), "b": WORDS}),
    "float16, words": pd.DataFrame({"a": NUMBERS.astype("float16"), "b": WORDS}),
    "float64, int64": pd.DataFrame({"a": NUMBERS, "b": np.arange(N) % 9}),
    "short float64, words": pd.DataFrame({"a": NUMBERS.round(2), "b": WORDS}),
}
CONTENTS: dict[str, Any] = {
    "text/csv": lambda table: table.to_csv(index=False).encode(),
    "application/x-ndjson": lambda table: table.to_json(orient="records", lines=True).encode(),
    "application/vnd.apache.parquet": lambda table: table.to_parquet(index=False),
}


@pytest.fixture
def splits(monkeypatch: pytest.MonkeyPatch) -> list[Split]:
    """The splits of the trainings, as the runner made them."""
    found: list[Split] = []
    split_rows = runner.split_rows

    def remembered(*given: Any) -> Split:
        found.append(split_rows(*given))
        return found[-1]

    monkeypatch.setattr(runner, "split_rows", remembered)
    return found


def train(service: LocalService, table: pd.DataFrame, media_type: str, version: int = 1) -> dict[str, Any]:
    stored = service.stored(CONTENTS[media_type](table), media_type)
    work = TrainingWork(stored.id, stored.sha256, ("y",), {}, PromotionPolicy.NEVER)
    return service.result(service.trained(work, version))


@pytest.mark.parametrize("pushed", ["frame", "array"])
@pytest.mark.parametrize("split_by", ["frame", "array"])
@pytest.mark.parametrize("name", FRAMES)
def test_the_sides_of_a_frame_or_its_array_are_those_of_the_notebook(
    tmp_path: Path, splits: list[Split], name: str, split_by: str, pushed: str
) -> None:
    frame = FRAMES[name]
    array, target = frame.to_numpy(), pd.Series(NUMBERS + 1, name="y")
    encoder = make_column_transformer((OrdinalEncoder(), [1]), remainder="passthrough")
    estimator = make_pipeline(encoder, LinearRegression()) if array.dtype == object else LinearRegression()
    split = holdout(frame if split_by == "frame" else array)
    estimator.fit(array[split.train], target[split.train])
    rows = frame.iloc[split.train] if pushed == "frame" else array[split.train]

    for media_type in CONTENTS:
        service = LocalService(tmp_path / media_type.replace("/", "-"))
        service.result(service.pushed(estimator, rows, ("y",), split.rule))
        first = train(service, frame.assign(y=target), media_type)
        for again in list(CONTENTS)[:1]:
            train(service, frame.assign(y=target), again, first["version"])

    assert [(each.train, each.test) for each in splits] == [(split.train, split.test)] * len(splits)
    assert len(splits) == 6


def test_a_file_of_single_precision_does_not_move_the_rows_of_doubles(tmp_path: Path, splits: list[Split]) -> None:
    frame = FRAMES["short float64, words"].assign(b=np.arange(N) % 9)
    target = pd.Series(NUMBERS + 1, name="y")
    split = holdout(frame.to_numpy())
    fitted = LinearRegression().fit(frame.to_numpy()[split.train], target[split.train])
    service = LocalService(tmp_path)
    service.result(service.pushed(fitted, frame.to_numpy()[split.train], ("y",), split.rule))

    train(service, frame.astype({"a": "float32"}).assign(y=target), "application/vnd.apache.parquet")

    assert splits[0].test == split.test
