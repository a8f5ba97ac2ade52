"""The rows that the load sends, the estimator's answers in this process, and the comparison of both."""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RELATIVE_TOLERANCE = 1e-9  # BLAS kernels differ in the last bits by the shape of a batch


@dataclass(frozen=True, slots=True)
class Known:
    """The model, its rows, and its answers to them, one list of probabilities a row. estimator_bytes: a skops file."""

    estimator: Any
    rows: list[dict[str, Any]]
    expected: list[list[float]]
    csv_text: str
    estimator_bytes: bytes
    folder: Path

    @property
    def rows_file(self) -> Path:
        return self.folder / "rows.json"

    @property
    def joblib_file(self) -> Path:
        return self.folder / "model.joblib"

    def csv_head(self, rows: int = 50) -> bytes:
        """The first rows as a file of examples."""
        return "".join(self.csv_text.splitlines(keepends=True)[: rows + 1]).encode()


def fitted_titanic(folder: Path) -> Known:
    """Fits the example's pipeline on all passengers.

    Two of them have no port of embarkation and are not sent. The tutorial's frame of one such row has a column of
    None only, which SimpleImputer does not treat as missing, so the tutorial's answer is wrong.
    """
    import joblib  # noqa: PLC0415 - the tests of this module's other function need none of this
    import skops.io  # noqa: PLC0415

    from examples.titanic.train import COLUMNS, TARGET, logistic, passengers  # noqa: PLC0415

    table = passengers()
    estimator = logistic().fit(table[COLUMNS], table[TARGET])
    sent = table[COLUMNS].dropna(subset="embarked")
    rows = json.loads(sent.to_json(orient="records", double_precision=15))
    expected = estimator.predict_proba(sent).tolist()
    known = Known(estimator, rows, expected, sent.to_csv(index=False), skops.io.dumps(estimator), folder)
    known.rows_file.write_text(json.dumps(rows))
    joblib.dump(estimator, known.joblib_file)
    return known


def wrong_answers(answers: Iterable[tuple[int, Any]], rows_per_job: int, expected: list[list[float]]) -> list[Any]:
    """The answers that differ from the estimator's. An answer: (number of its first row, probabilities of its rows)."""
    wrong = []
    for first_row, found in answers:
        wanted = [expected[(first_row + offset) % len(expected)] for offset in range(rows_per_job)]
        if not is_same(found, wanted):
            wrong.append(found)
    return wrong


def is_same(found: Any, wanted: list[list[float]]) -> bool:
    """Whether these are the same numbers in the same order; a text, a missing row or a NaN is not."""
    if not isinstance(found, list) or len(found) != len(wanted):
        return False
    for found_row, wanted_row in zip(found, wanted, strict=True):
        if not isinstance(found_row, list) or len(found_row) != len(wanted_row):
            return False
        for a, b in zip(found_row, wanted_row, strict=True):
            if not isinstance(a, float | int) or not math.isclose(a, b, rel_tol=RELATIVE_TOLERANCE, abs_tol=0.0):
                return False
    return True
