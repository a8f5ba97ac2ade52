"""One row, one answer, through the engine: jobs of any size that share calls, and poison rows at every place."""

import itertools
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from examples.titanic.train import TARGET, passengers
from queuecast.client.row_formats.json_rows import json_rows
from queuecast.domain.job import Job, JobType, ModelRef, State
from queuecast.domain.lane import Lane
from queuecast.domain.work import Method, PredictionWork
from tests.worker.model_fixtures import MODEL, LocalService, assert_same_answers, plain_outputs

pytestmark = pytest.mark.filterwarnings("ignore")

WORDS, NUMBERS = ["sex", "embarked"], ["pclass", "sibsp", "parch"]
POISON = {"sex": "xenomorph"}  # a word that the encoder does not know: it raises for the whole call
ESTIMATORS = {
    "logistic": LogisticRegression(),
    "forest": RandomForestClassifier(n_estimators=10, random_state=0),
    "boosting": HistGradientBoostingClassifier(max_iter=10, random_state=0),
    "neighbors": KNeighborsClassifier(),
    "bayes": GaussianNB(),
    "network": MLPClassifier(hidden_layer_sizes=(8,), max_iter=30, random_state=0),
}
REF = ModelRef(MODEL, 1)
LANE = str(Lane.of_job(JobType.PREDICTION, REF, PredictionWork(Method.PREDICT_PROBA, 1)))


class StrictModel:
    """A pushed model whose encoder raises on a word that it does not know, and rows that it takes."""

    def __init__(self, folder: Path, estimator: Any) -> None:
        table = passengers().dropna(subset=[*WORDS, *NUMBERS])
        self.frame = table[[*WORDS, *NUMBERS]].reset_index(drop=True)
        encoder = OneHotEncoder(handle_unknown="error", sparse_output=False)
        parts = ColumnTransformer([("words", encoder, WORDS), ("numbers", StandardScaler(), NUMBERS)])
        self.estimator = make_pipeline(parts, estimator).fit(self.frame, table[TARGET])
        self.service = LocalService(folder)
        self.service.result(self.service.pushed(self.estimator, self.frame))
        self.expected = plain_outputs(self.estimator, Method.PREDICT_PROBA, self.frame)

    def submitted(self, rows: pd.DataFrame, poisoned: bool) -> Job:
        listed = json_rows(rows)
        if poisoned:
            listed[-1] |= POISON
        work = PredictionWork(Method.PREDICT_PROBA, len(listed))
        return self.service.submitted(JobType.PREDICTION, REF, work, json.dumps(listed).encode())

    def run(self, sizes: list[int], poisoned: set[int]) -> list[tuple[State, Any]]:
        """State and answers of jobs with so many rows each that wait together; those of some end in a poison row."""
        starts = list(itertools.accumulate([0, *sizes]))
        parts = [self.frame.iloc[start : start + size] for start, size in zip(starts, sizes, strict=False)]
        jobs = [self.submitted(part, index in poisoned) for index, part in enumerate(parts)]
        while self.service.lanes.stats():
            self.service.consumer.drain(LANE)
        for index, (job, start, size) in enumerate(zip(jobs, starts, sizes, strict=False)):
            present = self.service.jobs.read(job.id)
            if index in poisoned:
                assert present.failure is not None
                assert (present.state, present.failure.code) == (State.FAILED, "prediction_failed")
                assert POISON["sex"] in present.failure.detail
            else:
                assert_same_answers(self.service.result(job)["probabilities"], self.expected[start : start + size])
        return [(self.service.jobs.read(job.id).state, self.service.jobs.read(job.id).lost_attempts) for job in jobs]


@pytest.fixture(scope="module", params=ESTIMATORS)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> StrictModel:
    return StrictModel(tmp_path_factory.mktemp(request.param), ESTIMATORS[request.param])


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_rows_have_the_answers_of_in_process_in_whatever_company_they_come(
    model: StrictModel, data: st.DataObject
) -> None:
    sizes = data.draw(st.lists(st.integers(1, 40), min_size=1, max_size=25))
    poisoned = data.draw(st.sets(st.integers(0, len(sizes) - 1), max_size=len(sizes)))

    states = model.run(sizes, poisoned)

    expected = [State.FAILED if index in poisoned else State.SUCCEEDED for index in range(len(sizes))]
    assert states == [(state, 0) for state in expected]


def test_poison_rows_at_every_place_fail_their_own_jobs_only(model: StrictModel) -> None:
    count = 6
    for poisoned in range(2**count):
        model.run([1, 3, 1, 2, 5, 1], {index for index in range(count) if poisoned >> index & 1})


def test_jobs_did_share_calls(model: StrictModel) -> None:
    model.run([1] * 64, set())
    jobs = [model.submitted(model.frame.iloc[[index]], poisoned=False) for index in range(64)]
    while model.service.lanes.stats():
        model.service.consumer.drain(LANE)

    assert max(model.service.result(job)["timings"]["batch_jobs"] for job in jobs) >= 32
