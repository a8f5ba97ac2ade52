"""Sparse matrices of every format and dtype: the estimator gets one again at the worker and answers as before."""

import io
import json
import tempfile
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.base import BaseEstimator, clone
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.feature_selection import SelectKBest, chi2
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.naive_bayes import MultinomialNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MaxAbsScaler, StandardScaler
from sklearn.svm import SVC, LinearSVC

from queuecast import holdout
from queuecast.client.row_formats.json_rows import TABLE_MEDIA_TYPE, example_table, json_lines, json_rows
from queuecast.domain.errors import ModelRefusedError
from tests.differential import writers
from tests.differential.comparison import EXACT, SINGLE, call, different_rows, flat_rows
from tests.differential.notebook import METHODS
from tests.differential.product import LocalVersion
from worker.imports.example_rows import read_example

ROWS, COLUMNS = 60, 12
SEED: dict[str, Any] = {"random_state": 0}
FORMATS = (
    *("csr_matrix", "csc_array", "coo_matrix", "csr_array", "csc_matrix", "coo_array"),
    *("lil_matrix", "dok_array", "bsr_matrix", "dia_array"),
)
DTYPES = ("float64", "int64", "float32", "bool", "uint8")
ESTIMATORS: tuple[Any, ...] = (
    LogisticRegression(),
    SVC(),
    LinearSVC(**SEED),
    KNeighborsClassifier(3),
    MultinomialNB(),
    RandomForestClassifier(5, **SEED),
    make_pipeline(StandardScaler(with_mean=False), LogisticRegression()),
    make_pipeline(TfidfTransformer(), LinearSVC(**SEED)),
    make_pipeline(TruncatedSVD(3, **SEED), LogisticRegression()),
    make_pipeline(SelectKBest(chi2, k=4), LogisticRegression()),
    make_pipeline(PCA(2, **SEED), LogisticRegression()),
    make_pipeline(SimpleImputer(), Ridge()),
    MaxAbsScaler(),
    FunctionTransformer(np.abs, accept_sparse=True),
)

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.xdist_group("differential")]


def _matrix(number: int) -> Any:
    random = np.random.default_rng(number)
    filled = random.random((ROWS, COLUMNS)) < 0.2
    values = np.where(filled, random.integers(1, 9, (ROWS, COLUMNS)), 0).astype(DTYPES[number % len(DTYPES)])
    if values.dtype.kind == "f" and number % 3 == 0:
        values[random.random(values.shape) < 0.05] = np.nan
    return getattr(sp, FORMATS[number % len(FORMATS)])(values)


def _taken(matrix: Any, positions: list[int]) -> Any:
    return matrix.tocsr()[positions].asformat(matrix.format)


def _differences(version: LocalVersion, estimator: BaseEstimator, matrix: Any, ways: tuple[str, ...]) -> Iterator[str]:
    tolerance = SINGLE if matrix.dtype == np.float32 else EXACT
    for method in (each for each in METHODS if each in version.methods):
        expected = call(estimator, method, matrix)
        found: dict[str, list[Any]] = {}
        if "JSON" in ways:
            found["JSON"] = flat_rows(version.answers(json_rows(matrix), method))
        if "alone" in ways:
            alone = [version.answers(json_rows(_taken(matrix, [at])), method)[0] for at in range(3)]
            found["alone"] = [*flat_rows(alone), *expected[3:]]
        for way in ("upload", "Parquet", "CSV"):
            if way in ways:
                answer = version.batch(*_written(way, matrix), method, "ndjson").content
                lines = [json.loads(line) for line in answer.splitlines()]
                found[way] = [[value for name, value in line.items() if name != "row"] for line in lines]
        for way, answers in found.items():
            for at in different_rows(answers, expected, tolerance)[:1]:
                yield f"{way} {method} row {at}: found {answers[at]}, expected {expected[at]}"


def _written(way: str, matrix: Any) -> tuple[bytes, str]:
    if way == "upload":
        written = writers.upload(matrix, {})
        return written.content, written.media_type
    return _file_of(way, _table(matrix))


def _file_of(way: str, table: pd.DataFrame) -> tuple[bytes, str]:
    if way == "CSV":
        return table.to_csv(index=False).encode(), writers.CSV
    content = io.BytesIO()
    table.to_parquet(content, index=False)
    return content.getvalue(), writers.PARQUET


def _table(matrix: Any) -> pd.DataFrame:
    return pd.DataFrame(matrix.toarray(), columns=[f"x{at}" for at in range(matrix.shape[1])])


@pytest.mark.parametrize("number", range(len(ESTIMATORS) * 2))
def test_every_answer_to_a_sparse_matrix_is_the_notebooks(number: int) -> None:
    matrix = _matrix(number)
    target = np.random.default_rng(number).integers(0, 2, ROWS)
    try:
        estimator = clone(ESTIMATORS[number % len(ESTIMATORS)]).fit(matrix, target)
    except Exception:  # NaN is not for every estimator
        matrix = _taken(sp.csr_matrix(np.nan_to_num(matrix.toarray())), list(range(ROWS))).asformat(matrix.format)
        estimator = clone(ESTIMATORS[number % len(ESTIMATORS)]).fit(matrix, target)
    with tempfile.TemporaryDirectory() as folder:
        version = LocalVersion.pushed(Path(folder), estimator, matrix, target)
        ways = ("JSON", "alone", "upload", "Parquet", "CSV")

        assert list(_differences(version, estimator, matrix, ways)) == []

        table = _table(matrix).assign(y=target)
        train = list(holdout(matrix).train)
        expected = clone(estimator).fit(_taken(matrix, train), target[train])
        retrained = version.retrained(*_file_of("Parquet" if number % 2 else "CSV", table), ("y",))
        assert list(_differences(retrained, expected, matrix, ("JSON",))) == []


class TestMemory:
    WIDTH = 10_000

    def test_a_sparse_matrix_is_uploaded_without_a_dense_copy(self) -> None:
        n_rows = 80
        matrix = sp.random(n_rows, self.WIDTH, 1e-3, format="csr", **SEED)
        tracemalloc.start()
        try:
            n_bytes = sum(map(len, json_lines(matrix)))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

        assert n_bytes > 2 * n_rows * self.WIDTH
        assert peak < n_rows * self.WIDTH * 8 / 5

    def test_a_model_of_ten_thousand_columns_answers_as_the_notebook(self) -> None:
        matrix = sp.random(200, self.WIDTH, 1e-3, format="csr", **SEED)
        target = np.arange(200) % 2
        estimator = LogisticRegression().fit(matrix, target)
        with tempfile.TemporaryDirectory() as folder:
            version = LocalVersion.pushed(Path(folder), estimator, matrix, target)
            assert version.answers(json_rows(matrix[:20]), "predict") == estimator.predict(matrix[:20]).tolist()
            assert list(_differences(version, estimator, matrix, ("upload",))) == []


def test_an_example_of_an_unknown_class_is_refused(tmp_path: Path) -> None:
    matrix = _matrix(0)
    path = tmp_path / "example.json"
    path.write_text(json.dumps(example_table(matrix) | {"sparse": "csr_thing"}))

    with pytest.raises(ModelRefusedError, match="the class csr_thing, expected a sparse matrix of scipy"):
        read_example(path, TABLE_MEDIA_TYPE, MaxAbsScaler().fit(matrix), ())
