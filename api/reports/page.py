"""Renders the report of a training as an HTML page. The template has the order and the words, `charts` the drawings."""

import base64
import hashlib
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from api.reports import charts
from api.reports.number_texts import number_text, seconds_text, share_text, signed_text
from queuecast import __version__
from queuecast.domain.gate import Evaluation, MetricScores, SliceScores
from queuecast.domain.reports import OTHER_CLASSES, Confusion, TargetFacts, TrainingReport, headline

SHOWN_TARGETS = 3
CRITERIA = {
    "comparable": "Comparable",
    "rows": "Enough held-out rows",
    "class_rows": "Enough rows of each class",
    "classes": "Same classes",
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


def report_page(report: TrainingReport) -> Page:
    style = _style()
    allowed = (
        f"default-src 'none'; img-src data:; style-src 'sha256-{style.sha256}'; base-uri 'none'; form-action 'none'"
    )
    html = (
        _environment()
        .get_template("report.html")
        .render(
            report=report,
            headline=headline(report),
            evaluation=report.evaluation,
            targets=report.facts.targets[:SHOWN_TARGETS],
            hidden_targets=max(0, len(report.facts.targets) - SHOWN_TARGETS),
            scored=_scored_sets(report.evaluation),
            slices=sorted(report.evaluation.evidence.slices, key=_room)[:25],
            style=Markup(style.text),  # noqa: S704 - a file of this package
            policy=allowed,
            product_version=__version__,
        )
    )
    return Page(html, f"{allowed}; frame-ancestors 'none'")


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


def _by_role(target: TargetFacts, field: str) -> dict[str, Any]:
    """One field of the facts of each version that has it, by role."""
    return {each.role: getattr(each, field) for each in target.versions if getattr(each, field)}


def _curve_classes(target: TargetFacts, most: int) -> list[tuple[str, int, dict[str, Any]]]:
    """Label, rows, and the curves by role, for each class that has curves, at most so many."""
    found: dict[str, tuple[str, int, dict[str, Any]]] = {}
    for version in target.versions:
        for curves in version.curves:
            found.setdefault(curves.label, (curves.label, curves.n_rows, {}))[2][version.role] = curves
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
