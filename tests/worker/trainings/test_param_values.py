"""Parameters that JSON cannot say arrive at the estimator as in the notebook, or are refused."""

import math
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from worker.trainings.param_values import as_estimator_takes

ROWS = np.arange(12.0).reshape(6, 2)
NUMBERS = LogisticRegression().fit(ROWS, [0, 1, 2] * 2)
FLOATS = LogisticRegression().fit(ROWS, [0.0, 1.0] * 3)
WORDS = LogisticRegression().fit(ROWS, ["no", "yes"] * 3)
TARGETS = RandomForestClassifier(2).fit(ROWS, np.array([[0, 5], [1, 6]] * 3))


@pytest.mark.parametrize(
    ("fitted", "sent", "expected"),
    [
        (NUMBERS, {"0": 1, "2": 5}, {0: 1, 2: 5}),
        (NUMBERS, {"0": 1, "3": 5}, {0: 1, 3: 5}),  # a class that the file brings
        (FLOATS, {"0.0": 1, "1": 2}, {0.0: 1, 1: 2}),
        (WORDS, {"no": 1, "0": 2}, {"no": 1, "0": 2}),
        (WORDS, "balanced", "balanced"),
        (TARGETS, [{"0": 1, "1": 2}, {"5": 1, "6": 3}], [{0: 1, 1: 2}, {5: 1, 6: 3}]),
    ],
)
def test_the_keys_of_class_weight_are_labels(fitted: Any, sent: Any, expected: Any) -> None:
    found = as_estimator_takes(fitted, {"class_weight": sent}, fitted)

    assert repr(found) == repr({"class_weight": expected})


def test_the_candidates_of_a_search_are_read_like_the_parameter_itself() -> None:
    inner = make_pipeline(TfidfVectorizer(), LogisticRegression())
    search = GridSearchCV(inner, {"logisticregression__C": [1.0]}).fit(
        ["one two", "two three", "three four"] * 4, [0, 1, 1] * 4
    )
    grid = {"tfidfvectorizer__ngram_range": [[1, 1], [1, 2]], "logisticregression__class_weight": [{"0": 2}, None]}
    read = {"tfidfvectorizer__ngram_range": [(1, 1), (1, 2)], "logisticregression__class_weight": [{0: 2}, None]}

    assert as_estimator_takes(search, {"param_grid": grid}, search) == {"param_grid": read}
    assert as_estimator_takes(search, {"param_grid": [grid, grid]}, search) == {"param_grid": [read, read]}
    outer = make_pipeline(search)
    assert as_estimator_takes(outer, {"gridsearchcv__param_grid": grid}, outer) == {"gridsearchcv__param_grid": read}


def test_the_candidates_of_a_randomized_search_are_read_too() -> None:
    search = RandomizedSearchCV(MinMaxScaler(), {})

    found = as_estimator_takes(search, {"param_distributions": {"feature_range": [[0, 1], [0, 2]]}}, None)

    assert found == {"param_distributions": {"feature_range": [(0, 1), (0, 2)]}}


@pytest.mark.parametrize("word", ["NaN", "nan"])
def test_the_word_nan_is_a_number_where_the_estimator_takes_one(word: str) -> None:
    search = GridSearchCV(LogisticRegression(), {})

    assert math.isnan(as_estimator_takes(search, {"error_score": word}, None)["error_score"])


def test_the_word_for_infinity_is_a_number_where_the_estimator_takes_one() -> None:
    found = as_estimator_takes(TfidfVectorizer(), {"max_df": "inf"}, None)
    assert found == {"max_df": "inf"}  # it takes no infinity, and scikit-learn says so

    assert as_estimator_takes(LogisticRegression(), {"C": "inf"}, None) == {"C": math.inf}


def test_a_word_that_could_be_a_text_or_a_number_is_refused() -> None:
    with pytest.raises(ValueError, match="missing_values takes texts and numbers, and 'NaN' could be either"):
        as_estimator_takes(SimpleImputer(), {"missing_values": "NaN"}, None)


def test_a_word_stays_a_text_where_the_estimator_takes_texts() -> None:
    found = as_estimator_takes(SGDClassifier(), {"loss": "inf", "unknown": "NaN"}, None)

    assert found == {"loss": "inf", "unknown": "NaN"}
