"""Generated rows that are texts or dicts, with estimators for them, in every way to a model."""

import csv
import io
import random
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
from sklearn.base import clone
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.feature_extraction import DictVectorizer, FeatureHasher
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline

from queuecast.client.row_formats.json_rows import json_rows
from queuecast.client.row_formats.table_files import open_table
from queuecast.client.row_formats.text_rows import parsed_csv_rows
from queuecast.client.row_formats.training_tables import training_file
from queuecast.domain.holdout import holdout
from tests.differential.comparison import EXACT, call, different_rows, flat_rows
from tests.differential.product import LocalVersion, Version
from tests.differential.result_files import read_result
from tests.differential.writers import CSV, PARQUET

FIT_ROWS = 60
WORDS = (
    *(
        "great",
        "dull",
        "NA",
        "None",
        "null",
        "nan",
        "1",
        "3.0",
        "true",
        "False",
        "=1+1",
        "-5",
        '"quoted"',
        "a,b",
        "a;b",
    ),
    *("two\nlines", "tab\there", "été", "naïve", "映画", "ß", "🙂", "  spaces  ", "O'Neil", "\\n", "007", "x" * 50),
)
KEYS = ("city", "age", "vip", "a=b", "a.b", "a b", "été", "text", "row")
METHODS = ("predict", "predict_proba", "decision_function", "transform")


@dataclass(frozen=True)
class WholeRows:
    """rows: of the fit, in the form of the fit. asked: as a list, with some that the fit did not have."""

    name: str
    estimator: Any
    rows: Any
    target: list[Any]
    asked: list[Any]


def draw(seed: int, number: int) -> WholeRows:
    drawn = random.Random(f"{seed}/{number}")
    if number % 2:
        return _texts(drawn, number)
    return _dicts(drawn, number)


def _texts(drawn: random.Random, number: int) -> WholeRows:
    listed = [_text(drawn) for _ in range(FIT_ROWS)]
    forms = {
        "list": listed,
        "Series": pd.Series(listed, name=drawn.choice(["review", "a,b", 'q"q', None])),
        "Series of objects": pd.Series(listed, dtype=object, index=range(FIT_ROWS, 0, -1)),
        "array of objects": np.array(listed, dtype=object),
        "array": np.array(listed),
    }
    form = list(forms)[number // 2 % len(forms)]
    first = drawn.choice(
        [
            TfidfVectorizer(analyzer="char", ngram_range=(1, 2)),
            CountVectorizer(token_pattern=r"\S+", lowercase=False),
            HashingVectorizer(n_features=2**10, norm=None, analyzer="char"),
        ]
    )
    return _case(drawn, f"texts in a {form}", first, forms[form], [*listed, *(_text(drawn) for _ in range(20))])


def _dicts(drawn: random.Random, number: int) -> WholeRows:
    is_hashed = number // 2 % 2 == 1
    kinds = {key: drawn.choice(["word", "number", "boolean", "words", "mixed"]) for key in KEYS}
    if is_hashed:
        kinds = {key: "word" if kind == "words" else kind for key, kind in kinds.items()}
    listed = [_dict(drawn, kinds) for _ in range(FIT_ROWS)]
    first = FeatureHasher(2**8) if is_hashed else DictVectorizer()
    return _case(drawn, "dicts", first, listed, [*listed, *(_dict(drawn, kinds) for _ in range(20))])


def _case(drawn: random.Random, name: str, first: Any, rows: Any, asked: list[Any]) -> WholeRows:
    last = drawn.choice([LogisticRegression(), Ridge(), HistGradientBoostingClassifier(min_samples_leaf=5), None])
    if isinstance(first, CountVectorizer) and drawn.random() < 0.3:
        last = MultinomialNB()
    target = [drawn.choice(["yes", "NA", "no"]) for _ in range(len(rows))]
    if isinstance(last, Ridge):
        target = [drawn.random() for _ in range(len(rows))]
    elif isinstance(last, HistGradientBoostingClassifier):
        first = make_pipeline(first, TruncatedSVD(3, random_state=0))
    estimator = first if last is None else make_pipeline(first, last)
    return WholeRows(f"{name}, {estimator}", clone(estimator).fit(rows, target), rows, target, asked)


def _text(drawn: random.Random) -> str:
    words = drawn.choices(WORDS, k=drawn.randrange(1, 6))
    return drawn.choice([" ".join(words), words[0], "".join(words)])


def _dict(drawn: random.Random, kinds: dict[str, str]) -> dict[str, Any]:
    return {key: _value(drawn, kinds[key]) for key in drawn.sample(KEYS, drawn.randrange(len(KEYS)))}


def _value(drawn: random.Random, kind: str) -> Any:
    if kind == "mixed":
        kind = drawn.choice(["word", "number", "boolean"])
    if kind == "word":
        return drawn.choice(WORDS)
    if kind == "words":
        return drawn.sample(WORDS, drawn.randrange(3))
    return drawn.random() < 0.5 if kind == "boolean" else drawn.choice([3, -1.5, 0, 1e-9, 2**53, 12345.678])


def differences(case: WholeRows) -> tuple[list[str], int]:
    """The answers that differ from the notebook's, in words, and the number of answers that were compared."""
    with tempfile.TemporaryDirectory(prefix="queuecast-whole-rows-") as folder:
        version = LocalVersion.pushed(Path(folder), case.estimator, case.rows, case.target)
        found, compared = _compared(version, case.estimator, case)
        with training_file(case.rows, case.target, ["target"]) as table:
            retrained = version.retrained(table.content.read(), table.media_type, ("target",))
        again = _retrained_in_process(case)
        more, others = _compared(retrained, again, case)
        return [*found, *(f"retrained: {each}" for each in more)], compared + others


def _retrained_in_process(case: WholeRows) -> Any:
    train = holdout(case.rows).train
    listed = list(case.rows)
    return clone(case.estimator).fit([listed[at] for at in train], np.array(case.target)[train])


def _compared(version: Version, estimator: Any, case: WholeRows) -> tuple[list[str], int]:
    wrong, compared = [], 0
    for method in METHODS:
        if method not in version.methods:
            continue
        expected = call(estimator, method, case.asked)
        for way, positions, answers in _answers(version, case.asked, method):
            compared += len(positions)
            for at in different_rows(flat_rows(answers), [expected[each] for each in positions], EXACT):
                wrong.append(f"{case.name}: {method} by {way} of {case.asked[positions[at]]!r}")
    return wrong, compared


def _answers(version: Version, rows: list[Any], method: str) -> Iterator[tuple[str, Sequence[int], list[Any]]]:
    everything = range(len(rows))
    yield "JSON", everything, version.answers(json_rows(rows), method)
    backwards = list(reversed(everything))
    yield "JSON, other order", backwards, version.answers(json_rows([rows[at] for at in backwards]), method)
    for at in list(everything)[::9]:
        yield "JSON, alone", [at], version.answers(json_rows([rows[at]]), method)
    for way, kept, content, media_type in _files(rows, version.schema):
        answer = version.batch(content, media_type, method, "json")
        if answer.bad_rows:
            raise AssertionError(f"{way}: {answer.bad_rows[0]} of {rows[kept[answer.bad_rows[0].row]]!r}")
        yield way, kept, read_result(answer.content, "json")[1]
        if media_type == CSV:
            sent, _ = parsed_csv_rows(content.decode(), version.schema)
            yield "JSON, from CSV", kept, version.answers(sent, method)


def _files(rows: list[Any], schema: dict[str, Any]) -> Iterator[tuple[str, list[int], bytes, str]]:
    with open_table(rows) as table:
        yield "upload", list(range(len(rows))), table.content.read(), table.media_type
    if "x-column" in schema:
        columns: dict[str, list[Any]] = {schema["x-column"]: rows}
        kept = everything = list(range(len(rows)))
    elif "null" in schema["additionalProperties"]["type"]:  # an empty cell may mean null, or no key
        return
    else:
        typed = {name for name, rule in schema["properties"].items() if len(rule["x-kinds"]) == 1}
        words = {name for name, rule in schema["properties"].items() if rule["x-kinds"] == ["words"]}
        everything = [at for at, row in enumerate(rows) if row and row.keys() <= typed]
        kept = [at for at in everything if words.isdisjoint(rows[at])]
        columns = {name: [row.get(name) for row in rows] for name in typed if any(name in row for row in rows)}
    if everything:
        chosen = {name: [values[at] for at in everything] for name, values in columns.items()}
        buffer = io.BytesIO()
        pyarrow.parquet.write_table(pa.table(chosen), buffer)
        yield "Parquet", everything, buffer.getvalue(), PARQUET
    if kept:
        chosen = {name: [values[at] for at in kept] for name, values in columns.items()}
        chosen = {name: values for name, values in chosen.items() if any(value is not None for value in values)}
        text = pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in chosen.items()}).to_csv(
            index=False, quoting=csv.QUOTE_NONNUMERIC
        )
        yield "CSV", kept, text.encode(), CSV
