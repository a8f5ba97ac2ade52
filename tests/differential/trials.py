"""Runs a case in every way and compares each answer with the notebook's."""

import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.differential.cases import Case, NewRow
from tests.differential.kinds import BY_NAME
from tests.differential.notebook import Notebook, error_of
from tests.differential.product import Crashed, LocalVersion, Refused, Version
from tests.differential.retraining import RETRAININGS, Retrained, retrain
from tests.differential.tally import Difference, Tally, reason
from tests.differential.ways import ALONE_WAYS, WAYS, Asked, Question
from tests.differential.writers import CannotWrite

Push = Callable[[Any, Any, Any], Version]
"""Pushes an estimator with its rows and its target."""


@dataclass(frozen=True)
class Scope:
    """The part of a case to run; None is all of it."""

    ways: Collection[str] | None = None
    methods: Collection[str] | None = None

    def has(self, way: str, method: str | None = None) -> bool:
        is_way = self.ways is None or way in self.ways
        return is_way and (method is None or self.methods is None or method in self.methods)


ALL = Scope()


class Trial:
    """One case on one version."""

    def __init__(self, case: Case, tally: Tally, scope: Scope = ALL) -> None:
        self._case = case
        self._tally = tally
        self._scope = scope
        self._estimator = case.fitted()
        self._kinds = {name: kind.name for name, kind in case.kinds.items()}

    def run(self, push: Push) -> None:
        case, tally = self._case, self._tally
        tally.trials += 1
        tally.rows += len(case.known) + len(case.new)
        with self._noted("push", "push", None):
            try:
                version = push(self._estimator, case.pushed(case.frame), case.target)
            except Refused as refusal:
                tally.refused_pushes[self._kind_of(refusal), reason(refusal.code, refusal.detail)] += 1
                return
            for kind in set(self._kinds.values()):
                tally.pushed[kind] += 1
            tally.estimators[type(case.recipe.last).__name__] += 1
            self._compare_known(version)
            self._compare_new(version)
            self._compare_retrained(version)

    def _compare_known(self, version: Version) -> None:
        notebook = Notebook(self._case, self._estimator, self._case.known)
        for number, method in enumerate(notebook.methods):
            if method not in version.methods:
                self._tally.refused_pushes[self._case.lead.name, reason("not served", method)] += 1
                continue
            for at, (name, way) in enumerate(WAYS.items()):
                if self._scope.has(name, method):
                    turn = self._case.number + number + at
                    question = Question(self._case, version, self._case.known, method, turn)
                    with self._noted(name, method, None):
                        for asked in way(question):
                            self._judge(notebook, asked, name, method)

    def _judge(self, notebook: Notebook, asked: Asked, way: str, method: str, rows: Any = None) -> None:
        """Every known row has an answer."""
        rows = self._case.known if rows is None else rows
        if asked.positions:
            wrong = notebook.differences(method, asked.positions, asked.found, are_texts=asked.are_texts)
            for position, found, expected in wrong[:1]:
                self._add(way, method, rows.iloc[[position]], expected, found)
        self._tally.add_compared(self._kinds.values(), way, len(asked.positions))
        for position, refusal in list(asked.refused.items())[:1]:
            expected = notebook.answers(method, [position])[0]
            self._add(way, method, rows.iloc[[position]], expected, f"refused: {refusal}")

    def _compare_new(self, version: Version) -> None:
        """A row with a new cell is refused with a reason, or answered as in the notebook."""
        for number, new in enumerate(self._case.new):
            for method in version.methods[:2]:
                for name in ALONE_WAYS:
                    way = f"{name}, new cell"
                    if self._scope.has(way, method):
                        with self._noted(way, method, new.frame):
                            self._ask_new(version, new, method, name, self._case.number + number)

    def _ask_new(self, version: Version, new: NewRow, method: str, name: str, turn: int) -> None:
        way = f"{name}, new cell"
        error = error_of(self._estimator, method, self._case.given(new.frame))
        try:
            asked = WAYS[name](Question(self._case, version, new.frame, method, turn))
        except Refused as refusal:
            self._count_refusal(new, refusal)
            return
        except Crashed:
            if error is None:
                raise
            return
        for each in asked:
            for refusal in each.refused.values():
                if refusal.code == "prediction_failed" and error is None:
                    self._add(way, method, new.frame, "an answer, or a refusal", str(refusal))
                self._count_refusal(new, refusal)
            if each.positions and error is not None:
                self._add(way, method, new.frame, error, each.found)
            elif each.positions:
                notebook = Notebook(self._case, self._estimator, new.frame)
                self._judge(notebook, each, way, method, new.frame)

    def _count_refusal(self, new: NewRow, refusal: Refused) -> None:
        self._tally.refused_rows[self._kinds[new.column], reason(refusal.code, refusal.detail)] += 1

    def _compare_retrained(self, version: Version) -> None:
        if self._case.target is None:
            return
        turn = self._case.number // 2 % len(RETRAININGS)
        names = [list(RETRAININGS)[turn]] if self._scope.ways is None else list(RETRAININGS)
        for name in names:
            if self._scope.has(name):
                with self._noted(name, "fit", None):
                    self._judge_retrained(retrain(version, self._case, self._estimator, name), name)

    def _judge_retrained(self, retrained: Retrained | None, way: str) -> None:
        if retrained is None:
            return
        notebook = Notebook(self._case, retrained.expected, self._case.known)
        for method in notebook.methods:
            if method in retrained.version.methods and self._scope.has(way, method):
                question = Question(self._case, retrained.version, self._case.known, method, 0)
                with self._noted(way, method, None):
                    for asked in WAYS["JSON"](question):
                        self._judge(notebook, asked, way, method)

    @contextmanager
    def _noted(self, way: str, method: str, row: Any) -> Iterator[None]:
        """A crash is a difference, and so is a refusal of all known rows, unless the client refuses another dtype."""
        try:
            yield
        except CannotWrite as error:
            self._tally.not_written[self._case.lead.name, reason(way, str(error))] += 1
        except Refused as refusal:
            kind = self._kind_of(refusal)
            if refusal.code == "client" and not BY_NAME[kind].is_served:  # in a column that no step reads
                self._tally.refused_rows[kind, reason(refusal.code, refusal.detail)] += 1
            else:
                self._add(way, method, row, "an answer", f"refused: {refusal}")
        except Exception as error:  # an error of the product is a difference, not the end of the run
            self._add(way, method, row, "an answer", f"{type(error).__name__.lower()}: {error}")

    def _kind_of(self, refusal: Refused) -> str:
        return self._kinds.get(refusal.column or "", self._case.lead.name)

    def _add(self, way: str, method: str, row: Any, expected: Any, found: Any) -> None:
        case = self._case
        cells = None if row is None else {name: values.tolist()[0] for name, values in row.items()}
        self._tally.add_difference(
            Difference(
                case.seed, case.number, way, method, self._kinds, cells, expected, found, str(case), len(case.frame)
            )
        )


def push_locally(folder: Path) -> Push:
    return lambda estimator, rows, target: LocalVersion.pushed(folder, estimator, rows, target)


def run_locally(case: Case, tally: Tally, scope: Scope = ALL) -> None:
    with tempfile.TemporaryDirectory(prefix="queuecast-differential-") as folder:
        Trial(case, tally, scope).run(push_locally(Path(folder)))
