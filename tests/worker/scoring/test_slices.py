"""Slices of the held-out rows."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression

from worker.scoring.answers import answers_of
from worker.scoring.labelled_rows import LabelledRows
from worker.scoring.slices import slice_scores


def _rows() -> tuple[pd.DataFrame, Any]:
    draw = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "x": draw.normal(size=600),
            "side": np.where(np.arange(600) % 3 == 0, "left", "right"),
            "rare": ["a"] * 570 + ["b"] * 30,
        }
    )
    target = (frame["x"] + draw.normal(scale=0.3, size=600) > 0).astype(int).to_numpy()
    return frame, target


def _scored(columns: list[str] | None = None, *, flip: bool = True) -> dict[tuple[str, str], Any]:
    """The challenger is wrong on the left side."""
    frame, target = _rows()
    fitted = LogisticRegression().fit(frame[["x"]], target)
    champion = answers_of(fitted, frame[["x"]], None)
    wrong = frame["side"].eq("left").to_numpy() if flip else np.zeros(600, dtype=bool)
    outputs = {
        "predict": np.where(wrong, 1 - champion.predictions, champion.predictions),
        "predict_proba": np.where(wrong[:, None], champion.probabilities[:, ::-1], champion.probabilities),
    }
    challenger = type(champion)(outputs, champion.classes, is_classifier=True, is_regressor=False)
    rows = LabelledRows(target, {"champion": champion, "challenger": challenger})
    return {(each.column, each.value): each for each in slice_scores(rows, frame, columns, -0.69)}


def test_slices_are_values_of_columns_and_quarters_of_numbers_with_enough_rows() -> None:
    found = _scored()

    assert {column: sum(1 for name, _ in found if name == column) for column in ("x", "side", "rare")} == {
        "x": 4,
        "side": 2,
        "rare": 1,
    }
    assert sum(each.n_rows for (column, _), each in found.items() if column == "x") == 600
    assert found["side", "left"].n_rows == 200


def test_a_loss_in_one_slice_is_seen_there() -> None:
    found = _scored()

    assert found["side", "left"].difference.high < -found["side", "left"].margin
    assert found["side", "right"].difference.value == 0


def test_the_caller_may_choose_the_columns() -> None:
    assert {column for column, _ in _scored(["side", "absent"])} == {"side"}
    assert _scored([]) == {}


def test_more_slices_have_wider_intervals() -> None:
    few, many = _scored(["side"])["side", "left"], _scored()["side", "left"]

    assert many.difference.standard_error > few.difference.standard_error
    assert many.difference.value == pytest.approx(few.difference.value)


def test_missing_values_are_a_slice() -> None:
    frame, target = _rows()
    frame["side"] = frame["side"].where(frame["side"] == "left")
    answers = answers_of(DummyClassifier().fit(frame, target), frame, None)
    rows = LabelledRows(target, {"champion": answers, "challenger": answers})

    found = {each.value: each.n_rows for each in slice_scores(rows, frame, ["side"], -0.69)}

    assert found == {"(missing)": 400, "left": 200}


def test_rows_that_are_no_table_have_no_slices() -> None:
    frame, target = _rows()
    answers = answers_of(DummyClassifier().fit(frame, target), frame, None)

    assert (
        slice_scores(LabelledRows(target, {"champion": answers, "challenger": answers}), frame.to_numpy(), None, -0.69)
        == []
    )
