"""A short run with a fixed seed: generated frames in every way, each answer as in the notebook.

The long form is `make differential ROWS=100000`.
"""

import pytest

from tests.differential.cases import draw_case
from tests.differential.kinds import KINDS, SERVED
from tests.differential.known_faults import is_known
from tests.differential.report import COLUMNS, column_of, text
from tests.differential.shrinking import shrunk
from tests.differential.tally import Tally
from tests.differential.trials import run_locally

SEED = 20261126
ROWS = 24
MAX_ROUNDS = 6  # an estimator may refuse the first frames of a dtype

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.xdist_group("differential")]


@pytest.fixture(scope="module")
def tally() -> Tally:
    """Each dtype leads one trial, and another one if nothing was compared in it."""
    counted = Tally()
    for turn in range(MAX_ROUNDS):
        for at, kind in enumerate(KINDS):
            if turn == 0 or (kind.is_served and not counted.of_kind(counted.compared, kind.name)):
                _run(turn * len(KINDS) + at, counted)
    return counted


def _run(number: int, tally: Tally) -> None:
    case = draw_case(SEED, number, ROWS)
    known = len(tally.differences)
    run_locally(case, tally)
    new = [each for each in tally.differences[known:] if not is_known(each)]
    tally.differences[known:] = new
    if new and known == 0:
        tally.differences[0] = shrunk(case, new[0], run_locally)


def test_every_answer_is_the_notebooks(tally: Tally) -> None:
    assert tally.differences == [], f"seed {SEED}\n{text(tally)}"


def test_every_served_dtype_was_compared(tally: Tally) -> None:
    compared = {kind for kind, _ in tally.compared}

    assert {kind.name for kind in SERVED} - compared == set(), text(tally)


def test_every_other_dtype_was_refused_in_its_words(tally: Tally) -> None:
    """Or for the other dtypes of an array, which has to be of one type."""
    compared = {kind for kind, _ in tally.compared}
    others = [kind for kind in KINDS if kind.name not in compared]

    without_words = {}
    for kind in others:
        reasons = list(tally.of_kind(tally.refused_pushes, kind.name))
        if not any(words in reason for reason in reasons for words in (kind.refusal or "", "of one type")):
            without_words[kind.name] = reasons
    assert without_words == {}


def test_every_way_was_compared(tally: Tally) -> None:
    assert {column_of(way) for _, way in tally.compared} == set(COLUMNS.values())
