"""A model whose rows are texts gives the answers of the process that fitted it, by every way and in every format."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import TruncatedSVD
from sklearn.dummy import DummyClassifier
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline, make_union

from api.http.row_decoding import require_rows
from queuecast.client.row_formats.json_rows import json_rows
from queuecast.client.row_formats.table_files import open_table
from queuecast.client.row_formats.text_rows import parsed_csv_rows
from queuecast.client.row_formats.training_tables import training_file
from queuecast.domain.errors import InvalidInputError
from queuecast.domain.gate import PromotionPolicy
from queuecast.domain.holdout import holdout
from queuecast.domain.job import JobType, ModelRef
from queuecast.domain.signature import Layout, Missing
from queuecast.domain.work import Method, OutputFormat, PredictionWork, TrainingWork
from tests.worker.batch_fixtures import LocalBatchService
from tests.worker.model_fixtures import MODEL, assert_same_answers, plain_outputs

pytestmark = pytest.mark.filterwarnings("ignore")

CSV, NDJSON, PARQUET = "text/csv", "application/x-ndjson", "application/vnd.apache.parquet"
FORMS: dict[str, Callable[[list[str]], Any]] = {
    "list": list,
    "Series[str]": lambda texts: pd.Series(texts, name="review"),
    "Series[object]": lambda texts: pd.Series(texts, dtype=object),
    "array[object]": lambda texts: np.array(texts, dtype=object),
    "array[str]": np.array,
}
TEXTS = [
    *("a great film", "dull, long and dull", 'a "great" one', "two\nlines", "carriage\r\nreturn", "NA", "None"),
    *("=1+1", "007", "3.0", "true", "été naïve", "映画 great", " spaces ", "x" * 300, "'quoted'", "semi;colon", "a\tb"),
]
LABELS = ["good" if "great" in text or len(text) % 2 else "bad" for text in TEXTS]
ESTIMATORS: dict[str, Callable[[], Any]] = {
    "tfidf": lambda: make_pipeline(TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"\S+"), LogisticRegression()),
    "count": lambda: make_pipeline(CountVectorizer(analyzer="char"), LogisticRegression()),
    "hashing": lambda: make_pipeline(HashingVectorizer(), LogisticRegression()),
    "union": lambda: make_pipeline(make_union(CountVectorizer(), TfidfVectorizer(analyzer="char")), TruncatedSVD(3)),
    "search": lambda: GridSearchCV(make_pipeline(CountVectorizer(), LogisticRegression()), {}, cv=2),
}


@pytest.fixture
def texts(tmp_path: Path) -> LocalBatchService:
    return LocalBatchService(tmp_path, chunk_rows=5)


def answered(service: LocalBatchService, rows: Any, method: Method) -> list[Any]:
    """As the gateway checks the rows and a worker answers them."""
    listed = json_rows(rows)
    checked = require_rows(service.manifest(1).signature, json.dumps(listed).encode(), 10_000).rows
    job = service.ran(JobType.PREDICTION, ModelRef(MODEL, 1), PredictionWork(method, len(listed)), checked)
    result = service.result(job)
    answers: list[Any] = result["probabilities" if method is Method.PREDICT_PROBA else "predictions"]
    return answers


def uploaded(source: Any) -> tuple[bytes, str]:
    with open_table(source) as table:
        return table.content.read(), table.media_type


def files_of(rows: list[str], name: str) -> dict[str, tuple[bytes, str]]:
    frame = pd.DataFrame({name: rows})
    with_others = frame.assign(other="x", number=1.5)
    parquet = io.BytesIO()
    frame.to_parquet(parquet)
    return {
        "CSV": (frame.to_csv(index=False).encode(), CSV),
        "CSV with the only column of another name": (frame.set_axis(["q"], axis=1).to_csv(index=False).encode(), CSV),
        "CSV with an index": (frame.set_axis(["q"], axis=1).to_csv().encode(), CSV),
        "CSV with other columns": (with_others.to_csv(index=False).encode(), CSV),
        "NDJSON": ("".join(json.dumps(row) + "\n" for row in rows).encode(), NDJSON),
        "NDJSON in UTF-8": ("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode(), NDJSON),
        "NDJSON of objects": (with_others.to_json(orient="records", lines=True).encode(), NDJSON),
        "Parquet": (parquet.getvalue(), PARQUET),
        "upload of a list": uploaded(rows),
        "upload of an array": uploaded(np.array(rows, dtype=object)),
        "upload of a Series": uploaded(pd.Series(rows)),
    }


def batch_answers(service: LocalBatchService, content: bytes, media_type: str, method: Method) -> pd.DataFrame:
    work = service.batch_work(content, media_type, method=method, output_format=OutputFormat.PARQUET)
    job = service.ended_batch(work)
    assert service.error_file(job) == b""
    return pd.read_parquet(io.BytesIO(service.answer_file(job))).drop(columns="row")


@pytest.mark.parametrize("form", FORMS)
def test_the_estimator_gets_the_texts_in_the_form_of_the_fit(texts: LocalBatchService, form: str) -> None:
    rows = FORMS[form](TEXTS)
    estimator = ESTIMATORS["tfidf"]().fit(rows, LABELS)

    texts.result(texts.pushed(estimator, rows))

    manifest = texts.manifest(1)
    (column,) = manifest.signature.columns
    assert (manifest.signature.layout, column.dtype, manifest.compared_rows) == (Layout.TEXT, form, len(TEXTS))
    assert column.name == ("review" if form == "Series[str]" else "text")
    assert answered(texts, rows, Method.PREDICT) == estimator.predict(rows).tolist()


@pytest.mark.parametrize("name", ESTIMATORS)
def test_texts_get_the_answers_of_the_notebook_alone_together_and_in_files(texts: LocalBatchService, name: str) -> None:
    estimator = ESTIMATORS[name]().fit(TEXTS, LABELS)
    asked = [*TEXTS[::-1], "a film never seen", "great great"]
    texts.result(texts.pushed(estimator, TEXTS))

    for method in texts.manifest(1).signature.methods:
        expected = plain_outputs(estimator, method, asked)
        assert_same_answers(answered(texts, [*asked, ""], method)[:-1], expected)
        assert_same_answers([answered(texts, [text], method)[0] for text in asked], expected)
        for way, (content, media_type) in files_of(asked, "text").items():
            found = batch_answers(texts, content, media_type, method).to_numpy()
            assert_same_answers(found.reshape(expected.shape), expected), way


def test_texts_of_several_jobs_are_one_call_with_one_answer_each(texts: LocalBatchService) -> None:
    estimator = ESTIMATORS["tfidf"]().fit(TEXTS, LABELS)
    texts.result(texts.pushed(estimator, TEXTS))
    jobs = [
        texts.submitted(
            JobType.PREDICTION, ModelRef(MODEL, 1), PredictionWork(Method.PREDICT, 1), json.dumps([text]).encode()
        )
        for text in TEXTS
    ]

    texts.run_until_idle()

    results = [texts.result(job) for job in jobs]
    assert [result["predictions"] for result in results] == [[label] for label in estimator.predict(TEXTS)]
    assert max(result["timings"]["batch_jobs"] for result in results) > 4


def test_an_empty_text_is_a_text_in_json_ndjson_and_parquet(texts: LocalBatchService) -> None:
    estimator = make_pipeline(CountVectorizer(), Ridge()).fit(TEXTS, np.arange(len(TEXTS)))
    texts.result(texts.pushed(estimator, TEXTS))
    expected = estimator.predict(["", "great"]).tolist()
    files = files_of(["", "great"], "text")

    assert_same_answers(answered(texts, ["", "great"], Method.PREDICT), expected)
    for way in ("NDJSON", "NDJSON of objects", "Parquet"):
        found = batch_answers(texts, *files[way], Method.PREDICT)["prediction"]
        assert_same_answers(found, expected)


def test_an_empty_cell_of_a_csv_file_is_a_bad_row(texts: LocalBatchService) -> None:
    """CSV does not tell an empty text from a missing one."""
    texts.result(texts.pushed(ESTIMATORS["tfidf"]().fit(TEXTS, LABELS), TEXTS))

    job = texts.ended_batch(texts.batch_work(b"id,text\n1,great\n2,\n3,dull\n"))

    (bad,) = map(json.loads, texts.error_file(job).splitlines())
    assert (bad["row"], bad["column"], bad["code"]) == (2, "text", "null")


@pytest.mark.parametrize(
    ("row", "detail"),
    [
        (None, "found null, expected a string"),
        (3, "found number 3, expected a string"),
        ({"text": "a"}, "found an object, expected a string"),
        (["a"], "found a list, expected a string"),
    ],
)
def test_a_row_that_is_no_text_is_refused_with_its_place(texts: LocalBatchService, row: Any, detail: str) -> None:
    texts.result(texts.pushed(ESTIMATORS["tfidf"]().fit(TEXTS, LABELS), TEXTS))

    with pytest.raises(InvalidInputError) as refusal:
        require_rows(texts.manifest(1).signature, json.dumps(["great", row]).encode(), 10)

    assert (refusal.value.findings[0].pointer, refusal.value.findings[0].detail) == ("/inputs/1", detail)


def test_lines_that_are_no_texts_are_bad_rows(texts: LocalBatchService) -> None:
    estimator = ESTIMATORS["tfidf"]().fit(TEXTS, LABELS)
    texts.result(texts.pushed(estimator, TEXTS))
    lines = b'"great"\n\n17\n{"text": "a"}\n"open\nnull\n"dull"\n"a" "b"\n'

    job = texts.ended_batch(texts.batch_work(lines, NDJSON))

    bad = [json.loads(line) for line in texts.error_file(job).splitlines()]
    assert [(each["row"], each["code"]) for each in bad] == [
        (2, "wrong_type"),
        (3, "wrong_type"),
        (4, "malformed"),
        (5, "null"),
        (7, "malformed"),
    ]
    answers = pd.read_csv(io.BytesIO(texts.answer_file(job)))
    assert answers["row"].tolist() == [1, 6]
    assert answers["prediction"].tolist() == estimator.predict(["great", "dull"]).tolist()


def test_a_file_without_the_text_column_is_refused(texts: LocalBatchService) -> None:
    texts.result(texts.pushed(ESTIMATORS["tfidf"]().fit(TEXTS, LABELS), TEXTS))

    job = texts.ended_batch(texts.batch_work(b"a,b\nx,y\n"))

    assert job.failure is not None
    assert job.failure.detail == (
        "the file has no column 'text'; the texts are expected in it, or in the only column; it has a, b"
    )


def test_the_id_of_a_row_goes_with_its_text(texts: LocalBatchService) -> None:
    estimator = ESTIMATORS["tfidf"]().fit(TEXTS, LABELS)
    texts.result(texts.pushed(estimator, TEXTS))

    job = texts.ended_batch(texts.batch_work(b"key,q\n007,great\n008,dull\n", id_column="key"))

    answers = pd.read_csv(io.BytesIO(texts.answer_file(job)), dtype=str)
    assert answers["key"].tolist() == ["007", "008"]
    assert answers["prediction"].tolist() == estimator.predict(["great", "dull"]).tolist()


def test_a_missing_text_is_answered_if_the_notebook_answers_it(texts: LocalBatchService) -> None:
    rows = ["a", None, "b", "a"]
    estimator = DummyClassifier().fit(rows, [1, 2, 2, 2])
    texts.result(texts.pushed(estimator, rows))

    (column,) = texts.manifest(1).signature.columns
    assert (column.nullable, column.missing) == (True, Missing.NONE)
    assert answered(texts, ["a", None], Method.PREDICT) == [2, 2]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("way", ["y", "CSV", "Parquet"])
def test_a_retraining_fits_what_a_clone_fits_in_process(texts: LocalBatchService, form: str, way: str) -> None:
    rows = FORMS[form](TEXTS * 3)
    labels = np.array(LABELS * 3)
    split = holdout(rows)
    estimator = ESTIMATORS["tfidf"]().fit([TEXTS[at % len(TEXTS)] for at in split.train], labels[split.train])
    texts.result(texts.pushed(estimator, rows, ("mood",), split.rule))
    frame = pd.DataFrame({"text": rows, "mood": labels})
    buffer = io.BytesIO()
    frame.to_parquet(buffer)
    content, media_type = {
        "CSV": (frame.to_csv(index=False).encode(), CSV),
        "Parquet": (buffer.getvalue(), PARQUET),
    }.get(way, (b"", ""))
    if way == "y":
        with training_file(rows, labels, ["mood"]) as table:
            content, media_type = table.content.read(), table.media_type
    stored = texts.stored(content, media_type, "file")
    work = TrainingWork(stored.id, stored.sha256, ("mood",), {"logisticregression__C": 5.0}, PromotionPolicy.AUTO)

    result = texts.result(texts.trained(work))

    expected = ESTIMATORS["tfidf"]().set_params(logisticregression__C=5.0)
    expected.fit([(TEXTS * 3)[at] for at in split.train], labels[split.train])
    assert result["rows"] == {"train": len(split.train), "holdout": len(split.test), "bad": 0}
    assert None not in (result["champion"]["score"], result["challenger"]["score"])
    assert texts.manifest(2).signature == texts.manifest(1).signature
    assert_same_answers(texts.answers(TEXTS, Method.PREDICT_PROBA, version=2), expected.predict_proba(TEXTS))


@settings(max_examples=40, deadline=None)
@given(rows=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\x00")), min_size=1, max_size=5))
def test_any_text_travels_as_it_is(tmp_path_factory: pytest.TempPathFactory, rows: list[str]) -> None:
    """A hash of the characters answers, so that a changed character changes the answer."""
    service = _pushed_once(tmp_path_factory)
    expected = plain_outputs(_EXACT, Method.PREDICT, rows)

    assert_same_answers(answered(service, rows, Method.PREDICT), expected)
    files = files_of(rows, "text")
    for way in ("NDJSON", "Parquet"):
        assert_same_answers(batch_answers(service, *files[way], Method.PREDICT)["prediction"], expected)
    if "" not in rows:
        quoted = pd.DataFrame({"text": rows}).to_csv(index=False, quoting=1).encode()
        assert_same_answers(batch_answers(service, quoted, CSV, Method.PREDICT)["prediction"], expected)
        sent, _ = parsed_csv_rows(quoted.decode(), service.manifest(1).signature.json_schema())
        assert sent == rows


_EXACT = make_pipeline(
    HashingVectorizer(analyzer="char", ngram_range=(1, 2), lowercase=False, norm=None, n_features=2**12), Ridge()
).fit([*TEXTS, "".join(map(chr, range(1, 2000)))], np.arange(len(TEXTS) + 1) ** 2)
_SERVICES: list[LocalBatchService] = []


def _pushed_once(tmp_path_factory: pytest.TempPathFactory) -> LocalBatchService:
    if not _SERVICES:
        service = LocalBatchService(tmp_path_factory.mktemp("texts"), chunk_rows=2)
        service.result(service.pushed(_EXACT, TEXTS))
        _SERVICES.append(service)
    return _SERVICES[0]


def test_a_csv_file_shows_the_texts_of_a_pushed_file(texts: LocalBatchService) -> None:
    estimator = ESTIMATORS["tfidf"]().fit(TEXTS, LABELS)
    example = pd.DataFrame({"review": [*TEXTS, ""], "target": [*LABELS, "bad"]}).to_csv(index=False).encode()

    texts.result(texts.pushed(estimator, example))

    (column,) = texts.manifest(1).signature.columns
    assert (column.name, column.dtype) == ("review", "Series[str]")
    assert answered(texts, TEXTS, Method.PREDICT) == estimator.predict(TEXTS).tolist()


def test_a_hashing_vectorizer_alone_is_refused_in_plain_words(texts: LocalBatchService) -> None:
    """Its million columns would be written out with all their zeros."""
    job = texts.pushed(HashingVectorizer(), TEXTS)

    assert job.failure is not None
    assert "the output has 1,048,576 columns, expected at most 32,768" in job.failure.detail


def test_a_wide_sparse_output_is_bounded(texts: LocalBatchService) -> None:
    estimator = HashingVectorizer(n_features=2**15)
    texts.result(texts.pushed(estimator, TEXTS))

    job = texts.predicted(["great"] * 400, Method.TRANSFORM)
    assert job.failure is not None
    assert "the output has 400 rows of 32,768 columns, expected at most 305 such rows in one call" in job.failure.detail
    assert_same_answers(texts.answers(["great"] * 3, Method.TRANSFORM), estimator.transform(["great"] * 3).toarray())
