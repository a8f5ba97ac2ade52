"""A word that the estimator knows stays a word in CSV, as it does in every other format."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from queuecast.client.row_formats.json_rows import example_table
from queuecast.client.row_formats.text_rows import parsed_csv_rows
from queuecast.domain.file_formats import FileFormat
from queuecast.domain.signature import Column, ColumnType, Layout, Signature
from queuecast.domain.work import Method, TrainingWork
from tests.worker.every_format import answers_by_format
from tests.worker.model_fixtures import LocalService
from worker.models.columns.known_values import known_values
from worker.models.loading import load_estimator
from worker.tables.reader import read_range
from worker.tables.splitting import split_file

pytestmark = pytest.mark.filterwarnings("ignore")

CODES = ["NA", "DE", "FR"]
FRAMES = {
    "str": pd.DataFrame({"country": CODES * 10}),
    "object": pd.DataFrame({"country": pd.Series(CODES * 10, dtype=object)}),
    "category": pd.DataFrame({"country": pd.Categorical(CODES * 10)}),
    "array": np.array(CODES * 10, dtype=object).reshape(-1, 1),
    "array_of_strings": np.array(CODES * 10).reshape(-1, 1),
}
ANSWERS = [1, 0, 0] * 10


def namibia(rows: Any) -> Any:
    return make_pipeline(OneHotEncoder(handle_unknown="ignore"), LogisticRegression()).fit(rows, ANSWERS)


@pytest.mark.parametrize("kind", FRAMES)
def test_the_country_code_of_namibia_is_a_word_in_every_format(
    service: LocalService, tmp_path: Path, kind: str
) -> None:
    rows = FRAMES[kind]

    service.result(service.pushed(namibia(rows), rows))

    assert service.manifest(1).signature.columns[0].words == ("NA",)
    assert answers_by_format(service, rows, Method.PREDICT, tmp_path, 1) == dict.fromkeys(
        ("json", "rows of a CSV file", "csv", "ndjson", "parquet"), ANSWERS
    )


def test_an_encoder_shows_the_words_of_an_example_in_csv(service: LocalService, tmp_path: Path) -> None:
    rows = FRAMES["str"]

    service.result(service.pushed(namibia(rows), rows.to_csv(index=False).encode()))

    assert service.manifest(1).signature.columns[0].words == ("NA",)
    assert answers_by_format(service, rows, Method.PREDICT, tmp_path, 1)["csv"] == ANSWERS


def test_an_encoder_in_a_wrapper_shows_them_too(service: LocalService, tmp_path: Path) -> None:
    rows = FRAMES["str"]
    fitted = CalibratedClassifierCV(namibia(rows), cv=2).fit(rows, ANSWERS)

    service.result(service.pushed(fitted, rows.to_csv(index=False).encode()))

    assert service.manifest(1).signature.columns[0].words == ("NA",)
    assert answers_by_format(service, rows, Method.PREDICT, tmp_path, 1)["csv"] == fitted.predict(rows).tolist()


def test_a_word_after_the_example_is_known(service: LocalService) -> None:
    rows = pd.DataFrame({"country": ["DE"] * 600 + ["NA"]})

    assert example_table(rows)["columns"] == [{"name": "country", "dtype": "str", "words": ["NA"]}]


def test_a_training_file_in_csv_keeps_the_words_of_features_and_labels(service: LocalService) -> None:
    table = pd.DataFrame({"country": CODES * 40, "n": np.arange(120.0), "label": ["None", "no", "no"] * 40})
    encoder = ColumnTransformer([("countries", OneHotEncoder(handle_unknown="ignore"), ["country"])])
    features = table[["country", "n"]]
    champion = make_pipeline(encoder, LogisticRegression()).fit(features, table["label"])
    service.result(service.pushed(champion, features, ("label",)))
    stored = service.stored(table.to_csv(index=False).encode())

    service.result(service.trained(TrainingWork(stored.id, stored.sha256, ("label",))))

    challenger = load_estimator(service.models.file("model", 2, "model.skops"))
    assert challenger[0].named_transformers_["countries"].categories_[0].tolist() == sorted(CODES)
    assert service.manifest(2).signature.columns == service.manifest(1).signature.columns
    assert service.answers(features[:3], Method.PREDICT, version=2) == ["None", "no", "no"]


def test_a_word_that_the_champion_does_not_know_is_no_label(service: LocalService) -> None:
    """It may be a missing label, on which no version should be fitted."""
    table = pd.DataFrame({"country": CODES * 40, "label": ["yes", "no", "no"] * 40})
    service.result(service.pushed(namibia(FRAMES["str"]), FRAMES["str"], ("label",)))
    stored = service.stored(table.assign(label=["null", *table["label"][1:]]).to_csv(index=False).encode())

    ended = service.trained(TrainingWork(stored.id, stored.sha256, ("label",)))

    assert ended.failure is not None
    assert "row 1, column label: is empty; every row needs a target" in ended.failure.detail


@pytest.mark.parametrize("cell", ["", "NA", "null", "DE"])
@pytest.mark.parametrize("nullable", [False, True])
@pytest.mark.parametrize("words", [(), ("NA",)])
@pytest.mark.parametrize("layout", [Layout.FRAME, Layout.ARRAY])
def test_a_cell_is_missing_or_a_word_by_one_rule(
    tmp_path: Path, layout: Layout, words: tuple[str, ...], nullable: bool, cell: str
) -> None:
    column = Column("x0", ColumnType.STRING, nullable=nullable, dtype="object", words=words)
    signature = Signature(layout, (column,), (Method.PREDICT,))
    text = f'x0\n"{cell}"\n'
    (tmp_path / "rows.csv").write_text(text)
    (file_range,) = split_file(tmp_path / "rows.csv", FileFormat.CSV, 10, 2**20)
    is_word = cell == "DE" or cell in words or (cell != "" and not nullable)

    read = read_range(tmp_path / "rows.csv", FileFormat.CSV, signature, file_range)
    (sent,), _ = parsed_csv_rows(text, signature.json_schema())

    assert list(sent.values() if layout is Layout.FRAME else sent) == [cell if is_word else None]
    assert [bad.code for bad in read.bad_rows] == ([] if is_word or nullable else ["null"])
    if not read.bad_rows:
        assert np.asarray(read.frame, dtype=object).tolist() == [
            [cell if is_word else pytest.approx(np.nan, nan_ok=True)]
        ]


def test_a_word_of_the_categories_is_a_word_without_being_listed(tmp_path: Path) -> None:
    column = Column("c", ColumnType.STRING, nullable=True, dtype="category", categories=("NA", "DE"))
    signature = Signature(Layout.FRAME, (column,), (Method.PREDICT,))
    (tmp_path / "rows.csv").write_text("c\nNA\nnull\n")
    (file_range,) = split_file(tmp_path / "rows.csv", FileFormat.CSV, 10, 2**20)

    read = read_range(tmp_path / "rows.csv", FileFormat.CSV, signature, file_range)

    assert read.frame["c"].cat.codes.tolist() == [0, -1]
    assert parsed_csv_rows("c\nNA\nnull\n", signature.json_schema())[0] == [{"c": "NA"}, {"c": None}]


def test_the_values_of_encoders_are_found_in_nested_estimators() -> None:
    frame = pd.DataFrame({"a": ["x", "NA"] * 5, "b": np.arange(10.0), "c": ["y", "null"] * 5})
    columns = ColumnTransformer(
        [
            ("ordinal", make_pipeline("passthrough", OrdinalEncoder()), ["c"]),
            ("one_hot", OneHotEncoder(), [0]),
        ],
        remainder="passthrough",
    )
    estimator = make_pipeline(columns, LogisticRegression()).fit(frame, [0, 1] * 5)

    assert known_values(estimator, ["a", "b", "c"]) == {"a": ["NA", "x"], "b": [], "c": ["null", "y"]}


def with_words() -> pd.DataFrame:
    return pd.DataFrame({"b": np.arange(12.0), "a": ["x", "NA", "y"] * 4, "c": ["null", "z"] * 6})


def encode_words() -> ColumnTransformer:
    """Of the second and third column."""
    return ColumnTransformer([("number", "passthrough", [0]), ("words", OneHotEncoder(sparse_output=False), [1, 2])])


NUMBERS_FIRST = ColumnTransformer(
    [("scale", StandardScaler(), ["b"]), ("fill", SimpleImputer(strategy="most_frequent"), ["c", "a"])]
)
WORDS = ColumnTransformer([("words", "passthrough", ["c", "a"])])
RENAMING = {
    "behind a prefix": make_pipeline(NUMBERS_FIRST, encode_words()),
    "behind a prefix in a frame": make_pipeline(NUMBERS_FIRST, encode_words()).set_output(transform="pandas"),
    "behind two": make_pipeline(
        ColumnTransformer([("rest", "passthrough", ["c", "b", "a"])]),
        ColumnTransformer([("scale", StandardScaler(), [1])], remainder=SimpleImputer(strategy="most_frequent")),
        encode_words(),
    ),
    "in a union": make_pipeline(
        FeatureUnion([("b", ColumnTransformer([("b", "passthrough", ["b"])])), ("rest", WORDS)]), encode_words()
    ),
}


@pytest.mark.parametrize("estimator", RENAMING.values(), ids=RENAMING)
def test_the_values_of_an_encoder_are_found_for_a_column_that_a_step_renamed(estimator: Any) -> None:
    fitted = estimator.fit(with_words())

    assert known_values(fitted, ["b", "a", "c"]) == {"b": [], "a": ["NA", "x", "y"], "c": ["null", "z"]}


def test_an_encoder_behind_an_encoder_knows_no_values_of_the_column() -> None:
    frame = with_words()[["a"]]
    estimator = make_pipeline(OrdinalEncoder(), OneHotEncoder()).fit(frame)

    assert known_values(estimator, ["a"]) == {"a": ["NA", "x", "y"]}


def test_a_word_behind_a_prefix_stays_a_word_in_every_format(service: LocalService, tmp_path: Path) -> None:
    rows = FRAMES["object"]
    fill = ColumnTransformer([("fill", SimpleImputer(strategy="most_frequent"), ["country"])])
    estimator = make_pipeline(fill, OneHotEncoder(handle_unknown="ignore"), LogisticRegression()).fit(rows, ANSWERS)

    service.result(service.pushed(skops.io.dumps(estimator), rows.to_csv(index=False).encode()))

    assert service.manifest(1).signature.columns[0].words == ("NA",)
    answers = answers_by_format(service, rows, Method.PREDICT, tmp_path, 1)
    assert answers == dict.fromkeys(answers, ANSWERS)
