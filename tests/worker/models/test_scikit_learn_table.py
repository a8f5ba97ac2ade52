"""Walks scikit-learn's own lists: what is served, and of each exception why. Makes the table of docs/04-models.md."""

import os
import re
from collections import defaultdict
from pathlib import Path

import pytest
import sklearn
from sklearn.experimental import enable_halving_search_cv, enable_iterative_imputer  # noqa: F401
from sklearn.metrics import get_scorer_names
from sklearn.model_selection import _split
from sklearn.utils.discovery import all_displays, all_estimators, all_functions

from queuecast.domain.errors import ModelRefusedError
from queuecast.estimators.trusted_types import TRUSTED_TYPES, full_name, refusal_of
from tests.worker.model_fixtures import LocalService, assert_same_answers, plain_outputs
from tests.worker.models.fitted_estimators import fitted
from worker.models.loading import dump_estimator

pytestmark = pytest.mark.filterwarnings("ignore")

PAGE = Path(__file__).parents[3] / "docs" / "04-models.md"
BEGIN, END = "<!-- scikit-learn: begin -->", "<!-- scikit-learn: end -->"
NO_METHOD = "has no method that answers new rows one by one"
NOT_YET = "takes labels as rows: not served yet"
HASHED = "alone: a million columns are too many for an answer. Served as the first step of a pipeline"
OTHER_REASONS = {
    "PatchExtractor": "takes images as rows: not served",
    "FeatureHasher": HASHED,
    "HashingVectorizer": HASHED,
    "Birch": "skops cannot write it",
    "BernoulliRBM": "`score_samples` answers the same rows differently each time",
}


def _refusal(service: LocalService, name: str) -> str:
    """Why the estimator is not served, or "" after it answered as in this process."""
    model = fitted(name)
    if model is None:
        return OTHER_REASONS.get(name, NO_METHOD)
    estimator, rows = model
    is_served = isinstance(rows, list) and isinstance(rows[0], str | dict)
    if not is_served and (isinstance(rows, list) or rows.ndim != 2):
        return NOT_YET
    try:
        pushed = service.pushed(dump_estimator(estimator), rows, model=name.lower())
    except ModelRefusedError as error:
        return OTHER_REASONS.get(name, error.detail)
    if pushed.failure:
        return OTHER_REASONS.get(name, f"{pushed.failure.code}: {pushed.failure.detail}")
    for method in service.manifest(1, name.lower()).signature.methods:
        found = service.answers(rows, method, 1, name.lower())
        assert_same_answers(found, plain_outputs(estimator, method, rows))
    return ""


def _table(estimators: dict[str, str]) -> str:
    functions = {
        name: "" if full_name(function) in TRUSTED_TYPES else refusal_of(function) for name, function in all_functions()
    }
    lines = [f"| scikit-learn {sklearn.__version__} | served | not served, and why |", "|---|---|---|"]
    for kind, refusals in (("estimators", estimators), ("functions of arrays", functions)):
        by_reason = defaultdict(list)
        for name, reason in refusals.items():
            by_reason[reason].append(f"`{name}`")
        served = by_reason.pop("", [])
        lines.append(f"| {kind} | {len(served)} of {len(refusals)} | |")
        lines += [f"| | | {reason}: {_shown(names)} |" for reason, names in sorted(by_reason.items())]
    splitters = [name for name in _split.__all__ if name[0].isupper() and not name.startswith("Base")]
    lines += [f"| scorers | {len(get_scorer_names())} of {len(get_scorer_names())} | |"]
    lines += [f"| splitters | {len(splitters)} of {len(splitters)} | |"]
    lines += ["| column selectors | 1 of 1 | |"]
    lines += [f"| displays | 0 of {len(all_displays())} | draws a picture in a notebook; no part of an estimator |"]
    return "\n".join(lines)


def _shown(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= 45 else f"{', '.join(names[:8])} and {len(names) - 8} more"


def test_the_table_of_the_documents_is_what_is_served(service: LocalService) -> None:
    """QUEUECAST_WRITE_DOCS=1 writes the table."""
    table = _table({name: _refusal(service, name) for name, _ in all_estimators()})
    page = PAGE.read_text(encoding="utf-8")
    if os.environ.get("QUEUECAST_WRITE_DOCS"):
        PAGE.write_text(
            re.sub(f"{BEGIN}.*{END}", lambda _: f"{BEGIN}\n{table}\n{END}", page, flags=re.DOTALL), encoding="utf-8"
        )
        return

    assert page.partition(BEGIN)[2].partition(END)[0].strip() == table
