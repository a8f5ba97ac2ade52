"""One simulated retraining: a champion of an earlier file, a challenger of a new file, the gate, and the truth."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from bench.gate.worlds import World
from queuecast.domain.gate import GateSettings, PromotionPolicy, decide, is_promoted, recorded_scores
from queuecast.domain.holdout import HoldoutRule, Split, holdout
from queuecast.domain.model import Manifest
from worker.labelled.held_out_rows import RememberedRows
from worker.labelled.training_rows import TrainingRows
from worker.models.model_output import class_labels
from worker.models.signatures import learn_signature
from worker.scoring.answers import answers_of
from worker.scoring.intervals import point
from worker.scoring.labelled_rows import LabelledRows, with_coded_labels
from worker.scoring.metrics import chosen_metrics
from worker.scoring.row_sets import row_set
from worker.trainings.comparison import Contest, compare

SCENARIOS = ("no gain", "loss", "noise labels", "part noise", "gain")
TRUTH_ROWS = 20_000


@dataclass(frozen=True, slots=True)
class Outcome:
    """gain: the challenger's true deciding score less the champion's. area_gain: the same of the AUC."""

    world: str
    scenario: str
    is_promoted: bool
    verdict: str
    failed: tuple[str, ...]
    gain: float
    area_gain: float
    margin: float

    @property
    def is_wrong(self) -> bool:
        return self.is_promoted and (self.gain < -self.margin or "noise" in self.scenario)


def simulate(world: World, scenario: str, seed: int) -> Outcome:
    rng = np.random.default_rng(seed)
    truth = world.draw(TRUTH_ROWS, rng)
    champion, champion_file = _fitted(world, rng, scenario == "gain", truth)
    file = _file(world, scenario, rng)
    challenger = world.estimator().fit(file.features.iloc[file.split.train], file.target[file.split.train])
    if scenario == "loss":
        challenger = _with_area(world, rng, truth, _area(champion, truth) - 0.02)
    manifest = _manifest(champion, champion_file)
    remembered = RememberedRows(
        champion_file.features.iloc[champion_file.split.test], champion_file.target[champion_file.split.test]
    )
    rows = TrainingRows(file.features, file.target)
    contest = Contest(manifest, champion, challenger, ("target",), rows, file.split, remembered=remembered)
    settings = GateSettings()
    evidence = compare(contest, settings).evidence
    decision = decide(settings, evidence)
    deciding = evidence.held_out.scores[0]
    failed = tuple(each.name for each in decision.criteria if each.outcome in ("worse", "incomparable"))
    return Outcome(
        world.name,
        scenario,
        is_promoted(decision.verdict, PromotionPolicy.AUTO),
        decision.verdict,
        failed,
        _true(deciding.metric, challenger, truth) - _true(deciding.metric, champion, truth),
        _area(challenger, truth) - _area(champion, truth),
        deciding.margin,
    )


@dataclass(frozen=True, slots=True)
class _File:
    features: pd.DataFrame
    target: Any
    split: Split


def _file(world: World, scenario: str, rng: Any) -> _File:
    n_rows = world.file_rows
    features, target = world.draw(n_rows, rng)
    if scenario == "noise labels":
        target = rng.permutation(target)
    if scenario == "part noise":
        is_noise = rng.random(n_rows) < 0.3
        target = np.where(is_noise, rng.permutation(target), target)
    return _File(features, target, holdout(features))


def _fitted(world: World, rng: Any, is_weak: bool, truth: Any) -> tuple[Any, _File]:  # noqa: FBT001
    """A champion and the file that it was made of. A weak one has an area 0.02 below that of a challenger."""
    file = _file(world, "", rng)
    champion = world.estimator().fit(file.features.iloc[file.split.train], file.target[file.split.train])
    if is_weak:
        champion = _with_area(world, rng, truth, _area(champion, truth) - 0.02)
    return champion, file


def _with_area(world: World, rng: Any, truth: Any, area: float) -> Any:
    """An estimator of fewer rows, whose true area is the nearest to `area` among those that were tried."""
    tried = []
    low, high = 40, world.file_rows
    for _ in range(12):
        n_rows = int((low * high) ** 0.5)
        features, target = world.draw(4 * n_rows, rng)
        if len(np.unique(target[:n_rows])) < len(np.unique(truth[1])):
            low = n_rows + 1
            continue
        estimator = world.estimator().fit(features[:n_rows], target[:n_rows])
        found = _area(estimator, truth)
        tried.append((abs(found - area), estimator))
        if abs(found - area) < 0.003:
            break
        low, high = (n_rows, high) if found < area else (low, n_rows)
        low, high = int(low * 0.9), int(high * 1.1)
    return min(tried, key=lambda each: each[0])[1]


def _area(estimator: Any, truth: Any) -> float:
    features, target = truth
    found = estimator.predict_proba(features)
    return float(roc_auc_score(target, found[:, 1] if found.shape[1] == 2 else found, multi_class="ovr"))


def _true(metric: str, estimator: Any, truth: Any) -> float:
    features, target = truth
    rows = with_coded_labels(LabelledRows(target, {"it": answers_of(estimator, features, None)}))
    return point(metric, rows, "it")


def _manifest(champion: Any, file: _File) -> Manifest:
    """As an earlier training of the champion would have written it, with its scores."""
    features, target = file.features.iloc[file.split.test], file.target[file.split.test]
    answers = answers_of(champion, features, None)
    metrics = chosen_metrics(GateSettings(), champion, answers, target)
    rows = with_coded_labels(LabelledRows(target, {"challenger": answers}))
    signature, _ = learn_signature(champion, file.features.iloc[file.split.train[:50]])
    return Manifest(
        *("simulated", 1, "", 0, 0.0, "", "training", "", {}),
        signature=signature,
        target=("target",),
        classes=class_labels(champion),
        holdout=HoldoutRule(columns=tuple(file.features.columns)),
        metrics={"scores": recorded_scores(row_set(rows, metrics, GateSettings(), {}))},
    )
