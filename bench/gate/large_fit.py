"""Compares a training on a large table, with the whole evaluation, with the fit and both predictions alone.

    python -m bench.gate.large_fit [--rows 336776]

The table has the size of nycflights13's flights (336,776 rows, 16 columns) and columns of the same kinds. The training
runs in a trainer under `make run`'s conditions, with one thread, as the fit here does.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OrdinalEncoder
from threadpoolctl import threadpool_limits

import queuecast
from bench.known_answers import fitted_titanic
from bench.stacks import START_WAIT_S, QueuecastStack
from queuecast import Client

MODEL, TARGET = "flights", "is_late"
N_ROWS = 336_776
CHAMPION_ROWS = 20_000
TRAINING_WAIT_S = 900.0


class WithTrainer(QueuecastStack):
    """The trainer runs again after the first push."""

    def start(self) -> None:
        super().start()
        self._start("trainer", "trainer")
        self.wait_for(lambda: self._ready(1), "the trainer")


def flights(n_rows: int) -> pd.DataFrame:
    """Whole numbers, measurements with missing values, and words; a late arrival depends on some of them."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "month": rng.integers(1, 13, n_rows),
            "day": rng.integers(1, 32, n_rows),
            "hour": rng.integers(5, 24, n_rows),
            "minute": rng.integers(0, 60, n_rows),
            "carrier": rng.choice([f"C{at}" for at in range(16)], n_rows),
            "origin": rng.choice(["EWR", "JFK", "LGA"], n_rows),
            "dest": rng.choice([f"D{at:03}" for at in range(105)], n_rows),
            "distance": rng.integers(80, 5000, n_rows),
            "dep_delay": rng.exponential(15.0, n_rows).round(1),
            "temp": rng.normal(13.0, 9.0, n_rows).round(2),
            "dewp": rng.normal(5.0, 10.0, n_rows).round(2),
            "humid": rng.uniform(20, 100, n_rows).round(2),
            "wind_dir": rng.integers(0, 37, n_rows) * 10.0,
            "wind_speed": rng.gamma(4.0, 2.5, n_rows).round(3),
            "precip": np.where(rng.random(n_rows) < 0.9, 0.0, rng.exponential(0.05, n_rows).round(3)),
            "visib": rng.choice([10.0, 9.0, 7.0, 5.0, 2.0], n_rows, p=[0.8, 0.08, 0.06, 0.04, 0.02]),
        }
    )
    for name in ("temp", "wind_dir", "wind_speed"):
        frame.loc[rng.random(n_rows) < 0.02, name] = np.nan
    score = 0.08 * frame["dep_delay"] + 0.05 * frame["wind_speed"].fillna(10) - 0.1 * frame["visib"] - 1.5
    frame[TARGET] = (rng.random(n_rows) < 1 / (1 + np.exp(-score))).astype(int)
    return frame


def pipeline() -> Pipeline:
    words = make_column_transformer(
        (OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), ["carrier", "origin", "dest"]),
        remainder="passthrough",
    )
    return make_pipeline(words, HistGradientBoostingClassifier(random_state=0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=N_ROWS)
    table = flights(parser.parse_args().rows)
    features = table.drop(columns=TARGET)
    split = queuecast.holdout(features)
    first = split.train[:CHAMPION_ROWS]
    champion = pipeline().fit(features.iloc[first], table[TARGET].iloc[first])
    found = alone(champion, features, table[TARGET], split)
    with tempfile.TemporaryDirectory() as name:
        stack = WithTrainer(Path(name), fitted_titanic(Path(name)), workers=1)
        try:
            stack.start()
            with Client(f"http://127.0.0.1:{stack.port}") as client:
                fitted = features.iloc[split.train], table[TARGET].iloc[split.train]
                client.push(MODEL, champion, *fitted, holdout=split).result(timeout_s=START_WAIT_S)
                found |= trained(client, table, stack)
        finally:
            stack.stop()
    found["ratio"] = round(found["training_s"] / found["alone_s"], 2)
    found["ratio_without_read_and_split"] = round(found["fit_and_evaluation_s"] / found["alone_s"], 2)
    print(json.dumps(found, indent=1))


def alone(champion: Pipeline, features: pd.DataFrame, target: pd.Series, split: Any) -> dict[str, Any]:
    """Seconds of a fit and of both versions' probabilities of the held-out rows, with one thread."""
    with threadpool_limits(1):
        began = time.perf_counter()
        challenger = pipeline().fit(features.iloc[split.train], target.iloc[split.train])
        for version in (champion, challenger):
            version.predict_proba(features.iloc[split.test])
    return {"alone_s": round(time.perf_counter() - began, 2)}


def trained(client: Client, table: pd.DataFrame, stack: QueuecastStack) -> dict[str, Any]:
    """Seconds of the training's stages, from the moments when its progress changed, and its process's memory."""
    job = client.train(MODEL, table, TARGET)
    moments: dict[str, float] = {}
    most_mib = 0.0
    deadline = time.monotonic() + TRAINING_WAIT_S
    while not job.is_final:
        if time.monotonic() > deadline:
            raise TimeoutError(f"the training did not end within {TRAINING_WAIT_S:g} s")
        progress = job.refresh().body["progress"] or {}
        moments.setdefault(progress.get("stage") or "", time.perf_counter())
        most_mib = max(most_mib, *(used.pss_mib for name, used in stack.memory().items() if name.startswith("trainer")))
        time.sleep(0.05)
    ended = time.perf_counter()
    result = job.result()
    stages = [name for name in moments if name]
    ends = [*(moments[name] for name in stages[1:]), ended]
    by_stage = {name: round(end - moments[name], 2) for name, end in zip(stages, ends, strict=True)}
    return {
        "verdict": result["verdict"],
        "rows": result["rows"],
        "stages_s": by_stage,
        "training_s": round(ended - moments[stages[0]], 2),
        "fit_and_evaluation_s": round(sum(by_stage.get(name, 0.0) for name in ("check", "fit", "score")), 2),
        "trainer_mib": round(most_mib),
    }


if __name__ == "__main__":
    main()
