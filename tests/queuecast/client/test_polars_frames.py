"""Frames of polars wherever the client takes a DataFrame."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pyarrow.parquet as pq
import pytest
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from queuecast.client import Client
from queuecast.client.fitted_form import form_of_fit
from queuecast.client.row_formats.json_rows import example_table, json_rows
from queuecast.client.row_formats.table_files import PARQUET, open_table
from queuecast.client.row_formats.target_columns import target_names

MOMENT = datetime(2024, 3, 31, 1, 30)


def _of_every_dtype() -> pl.DataFrame:
    nanosecond = pl.Series([1_711_848_600_000_000_001, None])
    return pl.DataFrame(
        {
            "whole": pl.Series([3, 200], dtype=pl.UInt8),
            "gaps": pl.Series([2**53, None], dtype=pl.Int64),
            "small gaps": pl.Series([2, None], dtype=pl.Int16),
            "fraction": pl.Series([0.5, float("nan")], dtype=pl.Float32),
            "flag": [True, False],
            "flag gaps": [True, None],
            "word": ["NA", None],
            "category": pl.Series(["b", "a"], dtype=pl.Categorical),
            "enum": pl.Series(["b", None], dtype=pl.Enum(["c", "b", "a"])),
            "day": [date(2024, 2, 29), None],
            "moment": nanosecond.cast(pl.Datetime("ns")),
            "zone": pl.Series([MOMENT, None]).dt.replace_time_zone("UTC").dt.convert_time_zone("Europe/Berlin"),
            "duration": pl.Series([timedelta(days=-1, microseconds=1), None]),
            "time": [time(1, 2, 3), None],
            "decimal": pl.Series([Decimal("12.50"), None], dtype=pl.Decimal(10, 2)),
            "nothing": [None, None],
        }
    )


def test_every_dtype_becomes_json_to_the_nanosecond() -> None:
    first, second = json_rows(_of_every_dtype())

    assert first == {
        "whole": 3,
        "gaps": 2**53,
        "small gaps": 2,
        "fraction": 0.5,
        "flag": True,
        "flag gaps": True,
        "word": "NA",
        "category": "b",
        "enum": "b",
        "day": "2024-02-29",
        "moment": "2024-03-31T01:30:00.000000001",
        "zone": "2024-03-31T01:30:00Z",
        "duration": "P-1DT0H0M0.000001S",
        "time": "01:02:03",
        "decimal": "12.5",
        "nothing": None,
    }
    assert set(list(second.values())[-8:]) == {None}


def test_the_example_table_has_the_dtypes_of_the_pandas_frame_that_a_worker_builds() -> None:
    table = example_table(_of_every_dtype())

    described = {column.pop("name"): column for column in table["columns"]}
    assert described == {
        "whole": {"dtype": "uint8"},
        "gaps": {"dtype": "float64"},
        "small gaps": {"dtype": "float32"},
        "fraction": {"dtype": "float32"},
        "flag": {"dtype": "bool"},
        "flag gaps": {"dtype": "object", "missing": ["None"]},
        "word": {"dtype": "object", "missing": ["None"], "words": ["NA"]},
        "category": {"dtype": "category", "inner": "str", "categories": ["a", "b"]},
        "enum": {"dtype": "category", "inner": "str", "categories": ["c", "b", "a"]},
        "day": {"dtype": "datetime64[ms]"},
        "moment": {"dtype": "datetime64[ns]"},
        "zone": {"dtype": "datetime64[us, Europe/Berlin]"},
        "duration": {"dtype": "timedelta64[us]"},
        "time": {"dtype": "object", "missing": ["None"], "inner": "time"},
        "decimal": {"dtype": "object", "missing": ["None"], "inner": "Decimal"},
        "nothing": {"dtype": "object", "missing": ["None"]},
    }
    assert table["layout"] == "frame"
    assert table["rows"][1][:4] == [200, None, None, None]


@pytest.mark.parametrize(
    "column",
    [[[1], [2]], [{"a": 1}, {"a": 2}], [b"a", b"b"], pl.Series([1, 2], dtype=pl.Int128)],
    ids=["list", "struct", "bytes", "int128"],
)
def test_a_column_that_cannot_be_sent_is_refused_with_its_name(column: Any) -> None:
    with pytest.raises(ValueError, match=r"column 'odd' has the dtype .*, which cannot be sent"):
        example_table(pl.DataFrame({"odd": column}))


def test_a_frame_is_uploaded_as_parquet_with_its_own_dtypes() -> None:
    frame = _of_every_dtype()

    with open_table(frame) as table:
        assert table.media_type == PARQUET
        read = pq.read_table(table.content)

    assert read.column_names == frame.columns
    assert read["word"].to_pylist() == ["NA", None]
    assert read["zone"].to_pylist()[0] == MOMENT.replace(tzinfo=UTC)
    assert read["moment"].cast("int64").to_pylist()[0] == 1_711_848_600_000_000_001


def test_the_target_has_the_name_of_a_series_or_of_the_columns() -> None:
    assert target_names(pl.Series([1, 2])) == ["target"]
    assert target_names(pl.Series("survived", [1, 2])) == ["survived"]
    assert target_names(pl.DataFrame({"a": [1], "b": [2]})) == ["a", "b"]


def test_a_lazy_frame_is_refused_with_the_way_out(client: Client) -> None:
    lazy = pl.LazyFrame({"a": [1]})

    for refused in (
        lambda: client.predict("m", lazy),
        lambda: client.push("m", LogisticRegression(), lazy),
        lambda: client.upload(lazy),
    ):
        with pytest.raises(TypeError, match=r"call \.collect\(\) on it first"):
            refused()


WORDS = pl.DataFrame({"word": ["a", None, "b", "a"] * 5})
LABELS = [0, 1, 0, 1] * 5
ENCODED = make_pipeline(OneHotEncoder(handle_unknown="ignore"), LogisticRegression())


def test_the_estimator_knows_by_its_categories_in_which_form_it_was_fitted() -> None:
    on_polars = form_of_fit(ENCODED.fit(WORDS, LABELS), WORDS)
    expected = ENCODED.predict_proba(WORDS).tolist()
    assert (on_polars.rows, on_polars.is_sure) == (WORDS, True)
    assert on_polars.answers is not None
    assert on_polars.answers["outputs"]["predict_proba"] == expected

    on_pandas = form_of_fit(ENCODED.fit(WORDS.to_pandas(), LABELS), WORDS)
    expected = ENCODED.predict_proba(WORDS.to_pandas()).tolist()
    assert type(on_pandas.rows).__module__.startswith("pandas")
    assert on_pandas.answers is not None
    assert on_pandas.answers["outputs"]["predict_proba"] == expected


def test_an_estimator_that_answers_both_forms_differently_without_a_trace_is_refused() -> None:
    fill = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore"))
    estimator = make_pipeline(make_column_transformer((fill, ["word"])), LogisticRegression())

    with pytest.raises(ValueError, match=r"answers X and X\.to_pandas\(\) differently"):
        form_of_fit(estimator.fit(WORDS.to_pandas(), LABELS), WORDS)
    assert form_of_fit(estimator.fit(WORDS, LABELS), WORDS).rows is WORDS


def test_a_column_without_nulls_leaves_open_what_a_null_would_be() -> None:
    words = WORDS.drop_nulls()
    fitted = form_of_fit(ENCODED.fit(words, LABELS[: len(words)]), words)

    assert not fitted.is_sure
    assert example_table(words, is_sure=False)["columns"][0]["possible"] == ["None", "nan"]


@pytest.mark.parametrize("dtype", [pl.Categorical, pl.Enum(["c", "b", "a"])])
def test_categories_whose_null_an_encoder_has_learned_are_sent_as_texts(dtype: Any) -> None:
    frame = WORDS.with_columns(
        pl.col("word").cast(dtype), other=pl.Series(["x", None, "y", "x"] * 5, dtype=pl.Categorical)
    )
    encoder = make_column_transformer((OneHotEncoder(), ["word"]), ("drop", ["other"]))
    estimator = make_pipeline(encoder, LogisticRegression()).fit(frame, LABELS)

    fitted = form_of_fit(estimator, frame)

    assert [str(dtype) for dtype in fitted.rows.dtypes] == ["String", "Categorical"]
    assert fitted.answers is not None
    assert fitted.answers["outputs"]["predict_proba"] == estimator.predict_proba(frame).tolist()
