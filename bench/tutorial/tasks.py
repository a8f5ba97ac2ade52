"""The worker as a tutorial writes it: a model that is loaded once a process; a job is one message and one predict."""

import os
from typing import Any

import joblib
import pandas as pd
from celery import Celery
from celery.signals import worker_process_init

celery = Celery("tutorial", broker=os.environ["TUTORIAL_REDIS_URL"], backend=os.environ["TUTORIAL_REDIS_URL"])
loaded: dict[str, Any] = {}


@worker_process_init.connect
def load_model(**_: Any) -> None:
    # After the fork and before the first job, which is the best that a tutorial can do for its latency.
    loaded["model"] = joblib.load(os.environ["TUTORIAL_MODEL"])


@celery.task(name="tutorial.predict")
def predict(rows: list[dict[str, Any]]) -> list[list[float]]:
    frame = pd.DataFrame(rows)
    probabilities: list[list[float]] = loaded["model"].predict_proba(frame).tolist()
    return probabilities
