"""The criteria of the gate. Each compares a fact with a threshold and says in one sentence how that ended."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from queuecast.domain.errors import short_name
from queuecast.domain.findings.bounds import list_names
from queuecast.domain.gate.evidence import Evidence, MetricScores, Score, SliceScores
from queuecast.domain.gate.gate_settings import GateSettings


class Outcome(StrEnum):
    PASSED = "passed"
    INCOMPARABLE = "incomparable"
    WORSE = "worse"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Criterion:
    """value, threshold: the number found and the one expected; None where the criterion is not about a number.

    interval: the bounds of the value's 95 % interval.
    """

    name: str
    outcome: Outcome
    detail: str
    value: float | None = None
    threshold: float | None = None
    interval: tuple[float | None, float | None] | None = None


def criteria(settings: GateSettings, evidence: Evidence) -> tuple[Criterion, ...]:
    """All criteria, in the order of the documentation."""
    return tuple(_criteria(settings, evidence))


def _criteria(settings: GateSettings, evidence: Evidence) -> Iterator[Criterion]:
    yield _comparable(evidence)
    yield _enough_rows(settings, evidence)
    yield from _enough_class_rows(settings, evidence)
    yield _same_classes(evidence)
    yield _sound_data(evidence)
    yield _learnable(evidence)
    yield _file_agrees(evidence)
    deciding, *others = evidence.held_out.scores or (None,)
    if deciding is not None:
        yield _not_worse("held_out", deciding, "the held-out rows")
    yield from (_guard(scores) for scores in others if scores is not None and scores.margin > 0)
    yield _not_worse_on_remembered(evidence)
    yield _slices(evidence)
    yield from _floors(settings, evidence)
    yield from _budgets(settings, evidence)
    yield from _gain(settings, evidence)


def _comparable(evidence: Evidence) -> Criterion:
    if evidence.incomparable:
        return Criterion("comparable", Outcome.INCOMPARABLE, evidence.incomparable)
    return Criterion("comparable", Outcome.PASSED, "both versions can be scored on the held-out rows")


def _enough_rows(settings: GateSettings, evidence: Evidence) -> Criterion:
    found, least = evidence.held_out.n_rows, settings.min_rows
    detail = f"{found:,} rows are held out, and a comparison needs at least {least:,}"
    return _bounded("rows", found, least, detail, Outcome.INCOMPARABLE)


def _enough_class_rows(settings: GateSettings, evidence: Evidence) -> Iterator[Criterion]:
    rows = evidence.held_out.class_rows
    if rows:
        label = min(rows, key=lambda each: rows[each])
        least = settings.min_class_rows
        detail = f"{rows[label]:,} held-out rows are of the rarest class {short_name(label)}; expected {least:,}"
        yield _bounded("class_rows", rows[label], least, detail, Outcome.INCOMPARABLE)


def _same_classes(evidence: Evidence) -> Criterion:
    changes = [
        f"the challenger {verb} {list_names(labels)}"
        for verb, labels in (("lacks", evidence.lost_classes), ("adds", evidence.new_classes))
        if labels
    ]
    if changes:
        return Criterion("classes", Outcome.INCOMPARABLE, "the classes changed: " + " and ".join(changes))
    return Criterion("classes", Outcome.PASSED, "both versions answer the same classes")


def _sound_data(evidence: Evidence) -> Criterion:
    if evidence.data_errors:
        return Criterion("data", Outcome.INCOMPARABLE, "; ".join(evidence.data_errors))
    return Criterion("data", Outcome.PASSED, "no check of the file found an error")


def _learnable(evidence: Evidence) -> Criterion:
    gain = evidence.over_baseline
    if gain is None:
        return Criterion("learnable", Outcome.SKIPPED, "there is no score of an estimator that knows no features")
    is_learnable = gain.lowest > 0
    if is_learnable:
        detail = f"the better version is better than an estimator that knows no features: {_difference_text(gain)}"
    else:
        detail = (
            f"neither version is better than an estimator that knows no features: {_difference_text(gain)}. Perhaps "
            "the target of this file does not belong to its rows"
        )
    return _of_interval("learnable", is_learnable, gain, 0.0, detail, Outcome.INCOMPARABLE)


def _file_agrees(evidence: Evidence) -> Criterion:
    """A champion that is suddenly worse, with no fault of its own on earlier rows, says something about the file."""
    now = evidence.held_out.deciding
    known = evidence.known_score
    where = "when it was made"
    if evidence.remembered is not None and evidence.remembered.deciding is not None:
        known, where = evidence.remembered.deciding.champion, "on the remembered rows"
    if now is None or now.champion is None or known is None:
        return Criterion("file_agrees", Outcome.SKIPPED, "the champion has no earlier score to compare with")
    change = now.champion.minus(known)
    agrees = change.highest >= -now.margin
    detail = (
        f"the champion's {now.metric} is {now.champion.value:.6g} on this file and {known.value:.6g} {where}: "
        f"{_difference_text(change)}"
    )
    if not agrees:
        detail = f"this file disagrees with what is known: {detail}"
    return _of_interval("file_agrees", agrees, change, -now.margin, detail, Outcome.INCOMPARABLE)


def _not_worse(name: str, scores: MetricScores, rows: str) -> Criterion:
    difference = scores.difference
    if difference is None or scores.champion is None or scores.challenger is None:
        return Criterion(name, Outcome.INCOMPARABLE, f"{scores.metric} cannot be computed on {rows}")
    passed = difference.lowest >= -scores.margin
    detail = _scores_text(scores.metric, rows, scores.champion, scores.challenger, difference)
    if not passed:
        detail += f", so a loss of more than {scores.margin:.3g} is not ruled out"
    return _of_interval(name, passed, difference, -scores.margin, detail, Outcome.WORSE)


def _guard(scores: MetricScores) -> Criterion:
    """A guard fails where a loss is shown: intervals of labels are wide, and would refuse most better versions."""
    name, difference = f"guard:{scores.metric}", scores.difference
    if difference is None or scores.champion is None or scores.challenger is None:
        return Criterion(name, Outcome.SKIPPED, f"{scores.metric} cannot be computed on the held-out rows")
    passed = difference.value >= -scores.margin or difference.highest >= 0
    detail = _scores_text(scores.metric, "the held-out rows", scores.champion, scores.challenger, difference)
    return _of_interval(name, passed, difference, -scores.margin, detail, Outcome.WORSE)


def _not_worse_on_remembered(evidence: Evidence) -> Criterion:
    remembered = evidence.remembered
    if remembered is None or remembered.deciding is None:
        return Criterion("remembered", Outcome.SKIPPED, "no held-out rows of earlier files are remembered")
    return _not_worse("remembered", remembered.deciding, f"{remembered.n_rows:,} remembered rows")


def _slices(evidence: Evidence) -> Criterion:
    if not evidence.slices:
        return Criterion("slices", Outcome.SKIPPED, "no slice has enough rows")
    worst = min(evidence.slices, key=_room_above_bound)
    passed = _room_above_bound(worst) >= 0
    detail = (
        f"{'no slice is worse than its bound; the lowest is' if passed else 'a slice is worse:'} "
        f"{short_name(worst.column)} = {short_name(worst.value)} ({worst.n_rows:,} rows), where {worst.metric} is "
        f"{worst.challenger:.6g} against {worst.champion:.6g}: {_difference_text(worst.difference)}"
    )
    return _of_interval("slices", passed, worst.difference, -worst.margin, detail, Outcome.WORSE)


def _room_above_bound(found: SliceScores) -> float:
    """Slices are small, so one fails only where even the upper bound of its interval shows a loss."""
    return found.difference.highest + found.margin


def _floors(settings: GateSettings, evidence: Evidence) -> Iterator[Criterion]:
    scores = {each.metric: each.challenger for each in evidence.held_out.scores}
    for metric, floor in settings.floors.items():
        score = scores.get(metric)
        if score is None:
            yield Criterion(
                f"floor:{metric}", Outcome.INCOMPARABLE, f"{metric} cannot be computed on the held-out rows"
            )
            continue
        detail = f"the challenger's {metric} is {score.value:.6g}, and its floor is {floor:.6g}"
        yield _bounded(f"floor:{metric}", score.value, floor, detail, Outcome.WORSE)


def _budgets(settings: GateSettings, evidence: Evidence) -> Iterator[Criterion]:
    champion, challenger = evidence.champion_speed, evidence.challenger_speed
    if challenger is None:
        return
    if settings.max_size_mb is not None:
        size_mb = challenger.size_bytes / 1e6
        detail = f"the challenger's file has {size_mb:,.1f} MB, and its budget is {settings.max_size_mb:,.6g} MB"
        yield _budget("size", size_mb, settings.max_size_mb, detail)
    if settings.max_slowdown is not None and champion is not None:
        slowdown = challenger.batch_s / max(champion.batch_s, 1e-9)
        detail = (
            f"the challenger takes {slowdown:.3g} times as long as the champion, and its budget is "
            f"{settings.max_slowdown:.6g}"
        )
        yield _budget("speed", slowdown, settings.max_slowdown, detail)


def _gain(settings: GateSettings, evidence: Evidence) -> Iterator[Criterion]:
    deciding = evidence.held_out.deciding
    if settings.min_gain > 0 and deciding is not None and deciding.difference is not None:
        gain = deciding.difference.value
        detail = f"the challenger's gain in {deciding.metric} is {gain:.6g}; expected at least {settings.min_gain:.6g}"
        yield _bounded("gain", gain, settings.min_gain, detail, Outcome.WORSE)


def _bounded(name: str, value: float, least: float, detail: str, otherwise: Outcome) -> Criterion:
    outcome = Outcome.PASSED if value >= least else otherwise
    return Criterion(name, outcome, detail, value, least)


def _budget(name: str, value: float, most: float, detail: str) -> Criterion:
    return Criterion(name, Outcome.PASSED if value <= most else Outcome.WORSE, detail, value, most)


def _of_interval(
    name: str,
    passed: bool,  # noqa: FBT001 - the result of the comparison that the sentence is about
    found: Score,
    threshold: float,
    detail: str,
    otherwise: Outcome,
) -> Criterion:
    outcome = Outcome.PASSED if passed else otherwise
    return Criterion(name, outcome, detail, found.value, threshold, (found.low, found.high))


def _scores_text(metric: str, rows: str, champion: Score, challenger: Score, difference: Score) -> str:
    return (
        f"{metric} on {rows} is {challenger.value:.6g} against the champion's {champion.value:.6g}: "
        f"{_difference_text(difference)}"
    )


def _difference_text(difference: Score) -> str:
    low, high = ("?" if bound is None else f"{bound:+.3g}" for bound in (difference.low, difference.high))
    return f"a difference of {difference.value:+.3g} (95 % interval {low} to {high})"
