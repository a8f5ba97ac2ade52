"""A model whose rows are dicts gives the answers of the process that fitted it, by every way and in every format."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.feature_extraction import DictVectorizer, FeatureHasher
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline

from api.http.row_decoding import require_rows
from queuecast.client.row_formats.json_rows import json_rows
from queuecast.client.row_formats.text_rows import parsed_csv_rows
from queuecast.client.row_formats.training_tables import training_file
from queuecast.domain.columns.object_rows import ValueKind
from queuecast.domain.errors import InvalidInputError
from queuecast.domain.gate import PromotionPolicy
from queuecast.domain.holdout import holdout
from queuecast.domain.job import JobType, ModelRef
from queuecast.domain.signature import Layout
from queuecast.domain.work import Method, OutputFormat, PredictionWork, TrainingWork
from tests.worker.batch_fixtures import LocalBatchService
from tests.worker.model_fixtures import MODEL, assert_same_answers, plain_outputs

pytestmark = pytest.mark.filterwarnings("ignore")

CSV, NDJSON, PARQUET = "text/csv", "application/x-ndjson", "application/vnd.apache.parquet"
CELLS: list[dict[str, Any]] = [
    {"city": "Ulm", "age": 3, "vip": True},
    {"city": "NA", "age": 4.5},
    {"age": 7, "city": 'Köln, "Süd"\nand more', "vip": False},
    {"city": "007"},
    {"vip": True, "age": -1e-7},
]
DICTS = CELLS * 6
WITH_WORDS = [{**row, "tags": ["a", "b"][: at % 3]} if at % 2 else row for at, row in enumerate(DICTS)]
LABELS = [["low", "high"][at % 5 in (0, 2)] for at in range(len(DICTS))]
ESTIMATORS: dict[str, Callable[[], Any]] = {
    "vectorizer": lambda: make_pipeline(DictVectorizer(), LogisticRegression()),
    "trees": lambda: make_pipeline(DictVectorizer(sparse=False), HistGradientBoostingClassifier(min_samples_leaf=2)),
    "hasher": lambda: make_pipeline(FeatureHasher(64), LogisticRegression()),
    "alone": DictVectorizer,
}


@pytest.fixture
def dicts(tmp_path: Path) -> LocalBatchService:
    return LocalBatchService(tmp_path, chunk_rows=5)


def checked(service: LocalBatchService, rows: Any) -> bytes:
    return require_rows(service.manifest(1).signature, json.dumps(json_rows(rows)).encode(), 10_000).rows


def answered(service: LocalBatchService, rows: Any, method: Method) -> list[Any]:
    """As the gateway checks the rows and a worker answers them."""
    job = service.ran(JobType.PREDICTION, ModelRef(MODEL, 1), PredictionWork(method, len(rows)), checked(service, rows))
    result = service.result(job)
    answers: list[Any] = result["probabilities" if method is Method.PREDICT_PROBA else "predictions"]
    return answers


def parquet_of(table: Any) -> tuple[bytes, str]:
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(table, buffer)
    return buffer.getvalue(), PARQUET


def ndjson_of(rows: list[dict[str, Any]]) -> tuple[bytes, str]:
    return "".join(json.dumps(row) + "\n" for row in rows).encode(), NDJSON


def files_of(rows: list[dict[str, Any]]) -> dict[str, tuple[bytes, str]]:
    frame = pd.DataFrame(rows)
    columns = {name: [row.get(name) for row in rows] for row in rows for name in row}
    return {
        "NDJSON": ndjson_of(rows),
        "CSV": (frame.to_csv(index=False).encode(), CSV),
        "CSV with an index": (frame.to_csv().encode(), CSV),
        "Parquet of a frame": parquet_of(pa.Table.from_pandas(frame.convert_dtypes(), preserve_index=False)),
        "Parquet": parquet_of(pa.table(columns)),
        "Parquet with one column of structs": parquet_of(pa.table({"row": rows})),
    }


def batch_answers(service: LocalBatchService, content: bytes, media_type: str, method: Method) -> pd.DataFrame:
    work = service.batch_work(content, media_type, method=method, output_format=OutputFormat.PARQUET)
    job = service.ended_batch(work)
    assert service.error_file(job) == b""
    return pd.read_parquet(io.BytesIO(service.answer_file(job))).drop(columns="row")


@pytest.mark.parametrize("name", ["vectorizer", "hasher", "alone"])
def test_dicts_get_the_answers_of_the_notebook_alone_together_and_in_files(dicts: LocalBatchService, name: str) -> None:
    estimator = ESTIMATORS[name]().fit(DICTS, LABELS)
    asked = [*CELLS[::-1], {"city": "never seen"}, {"age": 100}]
    dicts.result(dicts.pushed(estimator, DICTS))

    manifest = dicts.manifest(1)
    assert (manifest.signature.layout, manifest.compared_rows) == (Layout.OBJECT, len(DICTS))
    for method in manifest.signature.methods:
        expected = plain_outputs(estimator, method, asked)
        assert_same_answers(answered(dicts, asked, method), expected)
        assert_same_answers([answered(dicts, [row], method)[0] for row in asked], expected)
        files = files_of(asked)
        if name == "alone":  # it answers null, which only NDJSON tells from a key that is not there
            files = {"NDJSON": files["NDJSON"]}
        for way, (content, media_type) in files.items():
            found = batch_answers(dicts, content, media_type, method).to_numpy()
            assert_same_answers(found.reshape(expected.shape), expected), way


@pytest.mark.parametrize("form", [list, tuple, pd.Series, lambda rows: np.array(rows, dtype=object)])
def test_dicts_may_be_in_a_series_or_an_array(dicts: LocalBatchService, form: Callable[[Any], Any]) -> None:
    rows = form(WITH_WORDS)
    estimator = ESTIMATORS["vectorizer"]().fit(rows, LABELS)

    dicts.result(dicts.pushed(estimator, rows))

    assert answered(dicts, rows, Method.PREDICT) == estimator.predict(WITH_WORDS).tolist()


def test_the_signature_knows_the_keys_and_the_kinds_of_their_values(dicts: LocalBatchService) -> None:
    rows = [{**row, "id": at} for at, row in enumerate(WITH_WORDS)]
    dicts.result(dicts.pushed(ESTIMATORS["vectorizer"]().fit(rows, LABELS), rows))

    objects = dicts.manifest(1).signature.objects
    assert {key.name: (key.kinds, key.is_always) for key in objects.keys} == {
        "city": ((ValueKind.STRING,), False),
        "age": ((ValueKind.NUMBER,), False),
        "vip": ((ValueKind.BOOLEAN,), False),
        "tags": ((ValueKind.WORDS,), False),
        "id": ((ValueKind.NUMBER,), True),
    }
    assert objects.kinds == (ValueKind.STRING, ValueKind.NUMBER, ValueKind.BOOLEAN, ValueKind.WORDS)


@pytest.mark.parametrize(
    ("name", "row", "pointer", "detail"),
    [
        ("vectorizer", {"age": None}, "/inputs/1/age", "found null, expected a string or a finite number or"),
        ("vectorizer", {"a": {"b": 1}}, "/inputs/1/a", "found an object, expected a string"),
        ("vectorizer", {"a": ["b", 1]}, "/inputs/1/a", "found a list, expected a string"),
        ("vectorizer", ["a"], "/inputs/1", "found a list, expected an object"),
        ("vectorizer", "a", "/inputs/1", 'found string "a", expected an object'),
        ("hasher", {"tags": ["a"]}, "/inputs/1/tags", "found a list, expected a string or a finite number or"),
        (
            "hasher",
            dict.fromkeys(map(str, range(10_001)), 1),
            "/inputs/1",
            "found 10,001 keys, expected at most 10,000",
        ),
    ],
)
def test_what_the_estimator_does_not_answer_is_refused_with_its_place(
    dicts: LocalBatchService, name: str, row: Any, pointer: str, detail: str
) -> None:
    dicts.result(dicts.pushed(ESTIMATORS[name]().fit(DICTS, LABELS), DICTS))

    with pytest.raises(InvalidInputError) as refusal:
        require_rows(dicts.manifest(1).signature, json.dumps([{"age": 1}, row]).encode(), 10)

    assert refusal.value.findings[0].pointer == pointer
    assert refusal.value.findings[0].detail.startswith(detail)


def test_a_number_that_no_float_holds_is_refused(dicts: LocalBatchService) -> None:
    dicts.result(dicts.pushed(ESTIMATORS["vectorizer"]().fit(DICTS, LABELS), DICTS))

    for number in (b"1e400", b"1" + b"0" * 320):
        with pytest.raises(InvalidInputError):
            require_rows(dicts.manifest(1).signature, b'[{"age": %b}]' % number, 10)
        job = dicts.ended_batch(dicts.batch_work(b'{"age": %b}\n{"age": 1}\n' % number, NDJSON))
        assert json.loads(dicts.error_file(job))["row"] == 1


def test_null_is_answered_if_the_notebook_answers_it(dicts: LocalBatchService) -> None:
    rows = [{"age": None, "city": "Ulm"}, *DICTS]
    estimator = ESTIMATORS["trees"]().fit(rows, ["high", *LABELS])
    asked = [{"age": None}, {"city": None}, {}, {"age": float("nan"), "city": "Ulm"}]
    dicts.result(dicts.pushed(estimator, rows))

    assert_same_answers(answered(dicts, asked, Method.PREDICT_PROBA), estimator.predict_proba(asked))


def test_an_empty_cell_that_could_be_null_or_no_key_is_a_bad_row(dicts: LocalBatchService) -> None:
    """Only NDJSON tells them apart. Where every row of the fit had the key, the cell is null."""
    sizes = [{"size": None if at % 4 == 1 else 1.5} if at % 2 else {} for at in range(40)]
    rows = [{"age": None if at % 3 else at, **size} for at, size in enumerate(sizes)]
    estimator = ESTIMATORS["trees"]().fit(rows, [at % 2 for at in range(40)])
    dicts.result(dicts.pushed(estimator, rows))
    table = pd.DataFrame({"age": [3.0, None, 6.0], "size": [1.5, 1.5, None]})

    for content, media_type in (
        (table.to_csv(index=False).encode(), CSV),
        parquet_of(pa.Table.from_pandas(table, preserve_index=False)),
    ):
        job = dicts.ended_batch(dicts.batch_work(content, media_type))
        (bad,) = map(json.loads, dicts.error_file(job).splitlines())
        assert (bad["row"], bad["column"], bad["code"]) == (3, "size", "null")
        found = pd.read_csv(io.BytesIO(dicts.answer_file(job)))["prediction"]
        assert_same_answers(found, estimator.predict([{"age": 3, "size": 1.5}, {"age": None, "size": 1.5}]))


@pytest.mark.parametrize(
    ("header", "detail"),
    [
        ("age,x", "the column 'x' is no key of the fit, so its cells may be words or numbers"),
        ("age,both", "the key 'both' had values of the kind string and number at the fit, which a cell does not show"),
        ("age,tags", "the key 'tags' had values of the kind words at the fit, which a cell does not show"),
    ],
)
def test_a_csv_file_whose_cells_could_be_words_or_numbers_is_refused(
    dicts: LocalBatchService, header: str, detail: str
) -> None:
    rows = [{**row, "both": "1" if at % 2 else 1} for at, row in enumerate(WITH_WORDS)]
    dicts.result(dicts.pushed(ESTIMATORS["vectorizer"]().fit(rows, LABELS), rows))
    content = f"{header}\n1,2\n"

    job = dicts.ended_batch(dicts.batch_work(content.encode()))

    assert job.failure is not None
    assert detail in job.failure.detail
    with pytest.raises(ValueError, match="send NDJSON or Parquet"):
        parsed_csv_rows(content, dicts.manifest(1).signature.json_schema())


def test_a_cell_of_another_type_is_a_bad_row(dicts: LocalBatchService) -> None:
    estimator = ESTIMATORS["vectorizer"]().fit(DICTS, LABELS)
    dicts.result(dicts.pushed(estimator, DICTS))
    content = b"city,age,vip\nUlm,old,true\nUlm,3,True\nNA,NA,\n"

    job = dicts.ended_batch(dicts.batch_work(content))

    (bad,) = map(json.loads, dicts.error_file(job).splitlines())
    assert (bad["row"], bad["column"], bad["code"]) == (1, "age", "wrong_type")
    assert bad["detail"].startswith("found 'old', expected")
    found = pd.read_csv(io.BytesIO(dicts.answer_file(job)))["prediction"].tolist()
    assert found == estimator.predict([{"city": "Ulm", "age": 3, "vip": True}, {"city": "NA"}]).tolist()


def test_the_id_is_no_key_of_the_row(dicts: LocalBatchService) -> None:
    estimator = ESTIMATORS["hasher"]().fit(DICTS, LABELS)
    dicts.result(dicts.pushed(estimator, DICTS))
    rows = [{"city": "Ulm", "key": 1.50}, {"age": 3, "key": "x"}]
    lines = b'{"city": "Ulm", "key": 1.50}\n{"age": 3, "key": "x"}\n'

    job = dicts.ended_batch(dicts.batch_work(lines, NDJSON, id_column="key"))

    answers = pd.read_csv(io.BytesIO(dicts.answer_file(job)), dtype=str)
    assert answers["key"].tolist() == ["1.50", "x"]
    expected = estimator.predict([{name: value for name, value in row.items() if name != "key"} for row in rows])
    assert answers["prediction"].tolist() == expected.tolist()


@pytest.mark.parametrize("media_type", [CSV, NDJSON])
def test_an_id_that_no_row_has_is_refused(dicts: LocalBatchService, media_type: str) -> None:
    dicts.result(dicts.pushed(ESTIMATORS["hasher"]().fit(DICTS, LABELS), DICTS))
    content = b"city\nUlm\n" if media_type == CSV else b'{"city": "Ulm"}\n'

    job = dicts.ended_batch(dicts.batch_work(content, media_type, id_column="key"))

    assert job.failure is not None
    assert "the file has no column 'key'" in job.failure.detail


@pytest.mark.parametrize("way", ["y", "CSV", "Parquet"])
def test_a_retraining_fits_what_a_clone_fits_in_process(dicts: LocalBatchService, way: str) -> None:
    rows = [{**row, "at": at} for at, row in enumerate(DICTS * 3)]
    labels = np.array(LABELS * 3)
    split = holdout(rows)
    train = [rows[at] for at in split.train]
    estimator = ESTIMATORS["vectorizer"]().fit(train, labels[split.train])
    dicts.result(dicts.pushed(estimator, rows, ("mood",), split.rule))
    if way == "y":
        with training_file(rows, labels, ["mood"]) as table:
            content, media_type = table.content.read(), table.media_type
    else:
        content, media_type = files_of(
            [row | {"mood": label} for row, label in zip(rows, labels.tolist(), strict=True)]
        )[way]
    stored = dicts.stored(content, media_type, "file")
    work = TrainingWork(stored.id, stored.sha256, ("mood",), {"logisticregression__C": 5.0}, PromotionPolicy.AUTO)

    result = dicts.result(dicts.trained(work))

    expected = ESTIMATORS["vectorizer"]().set_params(logisticregression__C=5.0).fit(train, labels[split.train])
    assert result["rows"] == {"train": len(split.train), "holdout": len(split.test), "bad": 0}
    assert None not in (result["champion"]["score"], result["challenger"]["score"])
    assert dicts.manifest(2).signature == dicts.manifest(1).signature
    assert_same_answers(dicts.answers(rows, Method.PREDICT_PROBA, version=2), expected.predict_proba(rows))


@pytest.mark.parametrize("input_type", ["string", "pair"])
def test_a_hasher_of_words_or_pairs_is_refused_in_plain_words(dicts: LocalBatchService, input_type: str) -> None:
    rows = [["a", "b"]] * 4 if input_type == "string" else [[("a", 1)]] * 4
    estimator = FeatureHasher(8, input_type=input_type)

    job = dicts.pushed(make_pipeline(estimator, LogisticRegression()).fit(rows, [0, 1, 0, 1]), DICTS)

    assert job.failure is not None
    assert "Use input_type='dict' and rows such as {'word': 1}" in job.failure.detail


def test_a_csv_file_does_not_show_the_values_of_dicts(dicts: LocalBatchService) -> None:
    job = dicts.pushed(ESTIMATORS["vectorizer"]().fit(DICTS, LABELS), b"city,age,target\nUlm,3,low\n")

    assert job.failure is not None
    assert "push from Python" in job.failure.detail


_VALUES = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=5),
    st.floats(-1e9, 1e9, allow_nan=False),
    st.integers(-(10**9), 10**9),
    st.booleans(),
)
_ROWS = st.lists(st.dictionaries(st.sampled_from(["a", "b", "a=x", "c", ""]), _VALUES), min_size=1, max_size=4)
_SERVICES: list[LocalBatchService] = []
_EXACT = make_pipeline(FeatureHasher(2**10), Ridge()).fit(DICTS, np.arange(len(DICTS)) ** 2)


@settings(max_examples=40, deadline=None)
@given(rows=_ROWS)
def test_any_dict_travels_as_it_is(tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]) -> None:
    """The hash of each key and value counts, so that a changed one changes the answer."""
    if not _SERVICES:
        _SERVICES.append(LocalBatchService(tmp_path_factory.mktemp("dicts"), chunk_rows=2))
        _SERVICES[0].result(_SERVICES[0].pushed(_EXACT, DICTS))
    expected = _EXACT.predict(rows)

    assert_same_answers(answered(_SERVICES[0], rows, Method.PREDICT), expected)
    found = batch_answers(_SERVICES[0], *ndjson_of(rows), Method.PREDICT)["prediction"]
    assert_same_answers(found, expected)
