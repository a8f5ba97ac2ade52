"""Examples in the OpenAPI document. The rows fit the demo model `titanic`, so an example can be sent as it is."""

from dataclasses import dataclass
from typing import Any

TIME = "2026-01-31T12:00:00.123Z"
JOB_ID = "job_01a217a2-dd32-717c-951f-b63840767bad"
FILE_ID = "file_01a217a2-dd32-717c-951f-b63840767bad"
ROW = {"pclass": 1, "sex": "female", "age": 29, "sibsp": 0, "parch": 0, "fare": 211.3375, "embarked": "S"}


@dataclass(frozen=True, slots=True)
class Example:
    """A request body with a line that says what it does."""

    summary: str
    value: dict[str, Any]


PREDICTION = {
    "labels": Example("The label of one row", {"inputs": [ROW]}),
    "probabilities": Example(
        "Probabilities by a version that is named by its number",
        {
            "inputs": [ROW, ROW | {"age": None}],
            "method": "predict_proba",
            "version": 1,
            "metadata": {"run": "nightly"},
        },
    ),
}
TRAINING = {
    "retraining": Example(
        "Retraining with another regularisation",
        {"file_id": FILE_ID, "target": "survived", "params": {"model__C": 0.5}},
    ),
}
EVALUATION = {
    "two versions": Example(
        "The champion and version 1",
        {"file_id": FILE_ID, "target": "survived", "versions": ["champion", 1]},
    ),
}
BATCH = {
    "file": Example(
        "An uploaded file",
        {"file_id": FILE_ID, "method": "predict_proba", "output_format": "parquet", "id_column": "pclass"},
    ),
    "rows": Example("Rows in the request", {"inputs": [ROW], "output_format": "ndjson"}),
}
ALIAS = {"promotion": Example("Promoting version 1", {"version": 1, "reason": "the better of two"})}
SHADOW = {"sample": Example("Version 2 answers a tenth of the jobs again", {"version": 2, "sample": 0.1})}
ROLLBACK = {"reason": Example("Going back with a reason", {"reason": "worse in production"})}
OUTCOMES = {"labels": Example("The true labels of two rows", {"outcomes": [1, 0]})}
