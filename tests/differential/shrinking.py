"""Makes the case of a difference smaller: fewer columns, rows to ask for, and rows of the fit."""

from collections.abc import Callable, Iterator
from contextlib import suppress

from tests.differential.cases import Case
from tests.differential.tally import Difference, Tally
from tests.differential.trials import Scope

MAX_RUNS = 40
Run = Callable[[Case, Tally, Scope], None]


def shrunk(case: Case, difference: Difference, run: Run) -> Difference:
    """The difference of the smallest case that was found with a difference by the same way and method."""
    method = None if difference.method in ("push", "fit") else [difference.method]
    scope = Scope([difference.way], method)
    smallest = difference
    runs = 0
    is_smaller = True
    while is_smaller:
        is_smaller = False
        for smaller in _smaller(case):
            runs += 1
            if runs > MAX_RUNS:
                return smallest
            tally = Tally()
            with suppress(Exception):  # the estimator cannot be fitted on it
                run(smaller, tally, scope)
            found = [each for each in tally.differences if each.way == difference.way]
            if found:
                case, smallest, is_smaller = smaller, found[0], True
                break
    return smallest


def _smaller(case: Case) -> Iterator[Case]:
    names = list(case.kinds)
    for name in names if len(names) > 1 else ():
        yield case.with_columns([other for other in names if other != name])
    for positions in _halves(len(case.known)):
        yield case.with_known(positions)
    for positions in _halves(len(case.frame)):
        yield case.with_fit_rows(positions)


def _halves(n: int) -> Iterator[list[int]]:
    if n > 1:
        yield list(range(n // 2))
        yield list(range(n // 2, n))
