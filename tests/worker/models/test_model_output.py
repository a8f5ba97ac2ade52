"""The output of an estimator becomes rows for JSON and named columns for files, with the same values."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse

from queuecast.domain.work import Method
from worker.models.model_output import output_columns, output_rows

TWO, THREE = np.zeros((4, 2)), np.zeros((4, 3))


@pytest.mark.parametrize(
    ("method", "output", "classes", "names"),
    [
        (Method.PREDICT, np.zeros(4), ["no", "yes"], ["prediction"]),
        (Method.PREDICT, np.zeros((4, 1)), None, ["prediction"]),
        (Method.PREDICT, TWO, [["a"], ["b"]], ["prediction_0", "prediction_1"]),
        (Method.PREDICT, scipy.sparse.csr_matrix(TWO), None, ["prediction_0", "prediction_1"]),
        (Method.PREDICT_PROBA, TWO, ["no", "yes"], ["probability_no", "probability_yes"]),
        (Method.PREDICT_PROBA, TWO, [False, True], ["probability_false", "probability_true"]),
        (Method.PREDICT_PROBA, THREE, [0, 1, "1"], ["probability_0", "probability_1", "probability_2"]),
        (
            Method.PREDICT_PROBA,
            [TWO, TWO],
            [["a", "b"], [0, 1]],
            ["probability_0_a", "probability_0_b", "probability_1_0", "probability_1_1"],
        ),
        (Method.DECISION_FUNCTION, np.zeros(4), [0, 1], ["decision"]),
        (Method.DECISION_FUNCTION, THREE, ["a", "b", "c"], ["decision_a", "decision_b", "decision_c"]),
        (Method.DECISION_FUNCTION, THREE, ["a", "b"], ["decision_0", "decision_1", "decision_2"]),
        (Method.TRANSFORM, TWO, None, ["transform_0", "transform_1"]),
        (Method.TRANSFORM, np.zeros((4, 1)), ["a"], ["transform_0"]),
        (Method.TRANSFORM, scipy.sparse.csr_matrix(TWO), None, ["transform_0", "transform_1"]),
        (Method.TRANSFORM, pd.DataFrame({"a": [1] * 4, "b": ["x"] * 4}), None, ["transform_0", "transform_1"]),
        (Method.SCORE_SAMPLES, np.zeros(4), None, ["score"]),
    ],
)
def test_columns_are_named_for_their_method_class_and_target(
    method: Method, output: Any, classes: Any, names: list[str]
) -> None:
    columns = output_columns(method, output, classes)

    assert list(columns) == names
    assert {len(column) for column in columns.values()} == {4}


def test_a_column_has_the_values_of_its_class() -> None:
    columns = output_columns(Method.PREDICT_PROBA, np.array([[0.25, 0.75], [1.0, 0.0]]), ["no", "yes"])

    assert {name: column.tolist() for name, column in columns.items()} == {
        "probability_no": [0.25, 1.0],
        "probability_yes": [0.75, 0.0],
    }


@pytest.mark.parametrize(
    "output",
    [
        np.array([[0.25, 0.75], [1.0, 0.0]]),
        scipy.sparse.csr_matrix([[0.25, 0.75], [1.0, 0.0]]),
        pd.DataFrame({"a": [0.25, 1.0], "b": [0.75, 0.0]}),
    ],
    ids=["array", "sparse", "frame"],
)
def test_rows_and_columns_have_the_same_values(output: Any) -> None:
    columns = output_columns(Method.TRANSFORM, output, None)

    assert output_rows(output) == [[0.25, 0.75], [1.0, 0.0]]
    assert [column.tolist() for column in columns.values()] == [[0.25, 1.0], [0.75, 0.0]]


def test_a_row_has_a_list_for_each_of_several_targets() -> None:
    output = [np.array([[0.5, 0.5], [1.0, 0.0]]), np.array([[0.2, 0.3, 0.5], [0.0, 1.0, 0.0]])]

    assert output_rows(output) == [[[0.5, 0.5], [0.2, 0.3, 0.5]], [[1.0, 0.0], [0.0, 1.0, 0.0]]]
