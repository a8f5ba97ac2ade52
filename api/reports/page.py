"""Renders a report as an HTML page. The templates have the order and the words, `charts` the drawings."""

import base64
import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from api.reports import charts
from api.reports.charts import Series
from api.reports.number_texts import number_text, seconds_text, share_text, signed_text
from queuecast import __version__
from queuecast.domain.gate import Evaluation, MetricScores, SliceScores
from queuecast.domain.reports import (
    OTHER_CLASSES,
    Confusion,
    EvaluatedMetric,
    EvaluationReport,
    TargetFacts,
    TrainingReport,
    VersionFacts,
    headline,
    version_role,
)

SHOWN_TARGETS = 3
CRITERIA = {
    "comparable": "Comparable",
    "rows": "Enough held-out rows",
    "class_rows": "Enough rows of each class",
    "classes": "Same classes",
    "data": "No error in the data",
    "learnable": "Better than knowing no features",
    "file_agrees": "File agrees with earlier scores",
    "held_out": "Not worse on held-out rows",
    "guard": "Not worse by",
    "remembered": "Not worse on remembered rows",
    "slices": "No slice worse",
    "floor": "Floor of",
    "size": "Size within its budget",
    "speed": "Speed within its budget",
    "gain": "Enough gain",
}


class Page(NamedTuple):
    """policy: the Content-Security-Policy of the page, which allows its own styles and nothing else."""

    html: str
    policy: str


class Confused(NamedTuple):
    """Rows of one class that were answered as another."""

    true: str
    predicted: str
    n_rows: int


class ScoreRow(NamedTuple):
    """One version by one metric."""

    series: Series
    found: EvaluatedMetric


def training_page(report: TrainingReport) -> Page:
    targets = report.facts.targets
    return _page(
        "training.html",
        headline(report),
        report.model,
        targets,
        2,
        report=report,
        evaluation=report.evaluation,
        series=[("champion", f"champion, version {report.champion}"), ("challenger", _challenger_words(report))],
        rows_name="held-out rows",
        ignores_weights=report.lineage.roles.weight is not None and not report.facts.is_weighted,
        scored=_scored_sets(report.evaluation),
        slices=sorted(report.evaluation.evidence.slices, key=_room)[:25],
    )


def evaluation_page(report: EvaluationReport) -> Page:
    outcome, targets = report.outcome, report.facts.targets
    scored = [each for each in outcome.versions if each.scores]
    drawn = len(targets[0].versions) if targets else 0
    return _page(
        "evaluation.html",
        outcome.headline,
        outcome.model,
        targets,
        drawn,
        report=report,
        outcome=outcome,
        series=_drawn_series(report),
        rows_name="rows",
        ignores_weights=False,
        metrics=_by_metric(report),
        several=len(scored) > 1,
        scored_versions=len(scored),
        drawn_versions=drawn,
    )


def _page(template: str, words: str, model: str, targets: Sequence[TargetFacts], n_versions: int, **facts: Any) -> Page:
    """n_versions: how many versions are drawn. The more there are, the fewer targets and classes a page has."""
    style = _style()
    allowed = (
        f"default-src 'none'; img-src data:; style-src 'sha256-{style.sha256}'; base-uri 'none'; form-action 'none'"
    )
    shown = targets[: max(1, 2 * SHOWN_TARGETS // max(2, n_versions))]
    html = (
        _environment()
        .get_template(template)
        .render(
            headline=words,
            model=model,
            targets=shown,
            hidden_targets=len(targets) - len(shown),
            most_curves=max(1, 10 // max(1, len(shown) * max(2, n_versions))),
            style=Markup(style.text),  # noqa: S704 - a file of this package
            policy=allowed,
            product_version=__version__,
            **facts,
        )
    )
    return Page(html, f"{allowed}; frame-ancestors 'none'")


def _challenger_words(report: TrainingReport) -> str:
    return f"challenger, version {report.challenger}"


def _drawn_series(report: EvaluationReport) -> list[tuple[str, str]]:
    """Style and name of each version that is drawn."""
    return [(_styles(report)[each.role], each.role) for target in report.facts.targets[:1] for each in target.versions]


def _styles(report: EvaluationReport) -> dict[str, str]:
    """By role. Versions beyond those that are drawn have a style for their scores only."""
    roles = [each.role for target in report.facts.targets[:1] for each in target.versions]
    roles += [version_role(each.version) for each in report.outcome.versions]
    return {role: _version_style(at) for at, role in enumerate(dict.fromkeys(roles))}


def _version_style(at: int) -> str:
    return f"version-{at % 5}"


def _by_metric(report: EvaluationReport) -> list[tuple[str, list[ScoreRow]]]:
    """The scores of all versions by each metric, in the order of the first version that has it."""
    styles, found = _styles(report), dict[str, list[ScoreRow]]()
    for version in report.outcome.versions:
        role = version_role(version.version)
        name = f"{version.version} ({version.alias})" if version.alias else str(version.version)
        for each in version.scores:
            found.setdefault(each.metric, []).append(ScoreRow(Series(name, styles[role]), each))
    return list(found.items())


class _Style(NamedTuple):
    text: str
    sha256: str


@cache
def _style() -> _Style:
    text = Path(__file__).with_name("report.css").read_text("utf-8")
    return _Style(text, base64.b64encode(hashlib.sha256(text.encode()).digest()).decode())


@cache
def _environment() -> Environment:
    """Made for the first report: most gateways are never asked for one."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": number_text,
        "signed": signed_text,
        "share": share_text,
        "seconds": seconds_text,
        "moment": _moment,
        "criterion": _criterion_title,
    }
    environment.globals |= {
        "charts": charts,
        "by_role": _by_role,
        "curve_classes": _curve_classes,
        "confused": _confused,
    }
    return environment


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _criterion_title(name: str) -> str:
    """`guard:r2` becomes "Not worse by r2"."""
    kind, _, metric = name.partition(":")
    return f"{CRITERIA.get(kind, kind)} {metric}".rstrip()


def _room(found: SliceScores) -> float:
    """Slices that lost most come first."""
    return found.difference.highest + found.margin


def _scored_sets(evaluation: Evaluation) -> list[tuple[str, int, tuple[MetricScores, ...]]]:
    held_out, remembered = evaluation.evidence.held_out, evaluation.evidence.remembered
    found = [("held-out rows of this file", held_out.n_rows, held_out.scores)]
    if remembered is not None:
        found.append(("remembered rows of earlier files", remembered.n_rows, remembered.scores))
    return [each for each in found if each[2]]


def _by_role(target: TargetFacts, field: str) -> dict[Series, Any]:
    """One field of the facts of each version that has it."""
    return {_series(at, each): getattr(each, field) for at, each in enumerate(target.versions) if getattr(each, field)}


def _series(at: int, version: VersionFacts) -> Series:
    """at: its place among the versions of the target."""
    return Series(version.role, version.role if version.role in ("champion", "challenger") else _version_style(at))


def _curve_classes(target: TargetFacts, most: int) -> list[tuple[str, int, dict[Series, Any]]]:
    """Label, rows, and the curves by role, for each class that has curves, at most so many."""
    found: dict[str, tuple[str, int, dict[Series, Any]]] = {}
    for at, version in enumerate(target.versions):
        for curves in version.curves:
            found.setdefault(curves.label, (curves.label, curves.n_rows, {}))[2][_series(at, version)] = curves
    return list(found.values())[:most]


def _confused(found: Confusion) -> list[Confused]:
    """The five most frequent mistakes."""
    mistakes = [
        Confused(found.labels[row], found.labels[column], count)
        for row, of_class in enumerate(found.counts)
        for column, count in enumerate(of_class)
        if count and (row != column or found.labels[row] == OTHER_CLASSES)
    ]
    return sorted(mistakes, key=lambda each: -each.n_rows)[:5]
