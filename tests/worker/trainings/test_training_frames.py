"""Trainings on a DataFrame as the client sends it: words stay words, and answers keep their shape."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from queuecast.client.row_formats.table_files import open_table
from queuecast.domain.job import State
from queuecast.domain.work import Method, TrainingWork
from tests.worker.model_fixtures import LocalService, assert_same_answers
from worker.models.loading import load_estimator

pytestmark = pytest.mark.filterwarnings("ignore")

WORDS = ["NA", "None", "", "null", "DE"]
LABELS = ["nan", "", "N/A", "NULL", "land"]
LAND = pd.DataFrame({"word": WORDS * 40, "label": LABELS * 40}, dtype=object).assign(n=np.arange(200.0))
NUMBERS = np.arange(40.0).reshape(40, 1) * [1.0, 0.5]


def training_of(service: LocalService, frame: pd.DataFrame, target: str) -> TrainingWork:
    with open_table(frame) as table:
        stored = service.stored(table.content.read(), table.media_type, table.name)
    return TrainingWork(stored.id, stored.sha256, (target,))


def test_a_retraining_on_a_frame_keeps_the_words_of_features_and_labels(service: LocalService) -> None:
    features = LAND[["word", "n"]]
    encoder = ColumnTransformer([("words", OneHotEncoder(handle_unknown="ignore"), ["word"])])
    champion = make_pipeline(encoder, LogisticRegression()).fit(features, LAND["label"])
    service.result(service.pushed(champion, features, ("label",)))

    result = service.result(service.trained(training_of(service, LAND, "label")))

    accuracy = next(each for each in result["scores"] if each["metric"] == "accuracy")
    assert accuracy["challenger"]["value"] == 1.0
    assert service.manifest(2).classes == sorted(LABELS)
    challenger = load_estimator(service.models.file("model", 2, "model.skops"))
    assert challenger[0].named_transformers_["words"].categories_[0].tolist() == sorted(WORDS)
    assert service.answers(features[:5], Method.PREDICT, version=2) == LABELS


@pytest.mark.parametrize(
    ("champion", "target"),
    [
        (LinearRegression(), NUMBERS[:, :1] * 2),
        (MultiOutputClassifier(LogisticRegression()), np.where(NUMBERS[:, :1] > 20, "late", "soon")),
    ],
    ids=["regressor", "classifier"],
)
def test_a_retraining_keeps_the_shape_of_answers_to_a_table_of_one_target(
    service: LocalService, champion: Any, target: Any
) -> None:
    features = pd.DataFrame(NUMBERS, columns=["a", "b"])
    champion.fit(features, pd.DataFrame(target, columns=["y"]))
    service.result(service.pushed(champion, features, ("y",)))

    ended = service.trained(training_of(service, features.assign(y=target.ravel()), "y"))

    assert ended.state is State.SUCCEEDED, ended.failure
    first, second = (service.answers(features, Method.PREDICT, version=version) for version in (1, 2))
    assert np.shape(first) == np.shape(second) == (40, 1)
    assert_same_answers(second, target)


def test_a_retraining_on_a_target_without_columns_answers_values(service: LocalService) -> None:
    features = pd.DataFrame(NUMBERS, columns=["a", "b"])
    service.result(service.pushed(LinearRegression().fit(features, NUMBERS[:, 0]), features, ("y",)))

    service.result(service.trained(training_of(service, features.assign(y=NUMBERS[:, 0]), "y")))

    assert np.shape(service.answers(features, Method.PREDICT, version=2)) == (40,)


def test_the_word_na_is_no_number_for_a_regressor(service: LocalService) -> None:
    features = pd.DataFrame(NUMBERS, columns=["a", "b"])
    service.result(service.pushed(LinearRegression().fit(features, NUMBERS[:, 0]), features, ("y",)))

    ended = service.trained(training_of(service, features.assign(y=["NA", *map(str, range(39))]), "y"))

    assert ended.failure is not None
    assert "row 1, column y: found 'NA', expected a number" in ended.failure.detail
