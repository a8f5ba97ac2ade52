"""Scores versions of a model on labelled files. Fits nothing, publishes nothing and moves no alias.

Each version reads the files by its own signature and answers all rows that fit it. The scores are of the rows that fit
all of the versions that can be scored, so that they can be compared.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from queuecast.domain.errors import InvalidInputError, QueuecastError
from queuecast.domain.findings.bounds import MAX_FINDINGS
from queuecast.domain.findings.data_findings import most_severe
from queuecast.domain.job import Job, Progress
from queuecast.domain.model import BadCell
from queuecast.domain.work import EvaluationWork, OnError
from queuecast.ports.batches import BatchFiles
from queuecast.ports.files import FileStore
from queuecast.ports.models import ModelRegistry
from worker.engine.contracts import Report, Result
from worker.evaluations.evaluated_versions import AnsweredVersion, UnscoredVersion, VersionReader
from worker.evaluations.fitted_sides import shown_side, side_findings
from worker.evaluations.headlines import headline
from worker.evaluations.kept_facts import encoded_facts
from worker.evaluations.version_scores import MetricScore, ScoredVersion, scored_versions
from worker.file_writing import atomic_write, disk_full_as_unavailable
from worker.labelled.training_files import require_accepted_files, training_files
from worker.models.loading import EstimatorCache


class EvaluationRunner:
    def __init__(
        self, models: ModelRegistry, files: FileStore, estimators: EstimatorCache, folders: BatchFiles
    ) -> None:
        self._models = models
        self._files = files
        self._estimators = estimators
        self._folders = folders

    def run(self, job: Job, work: EvaluationWork, report: Report) -> Result:
        """Raises the error of the first version if no version can be scored."""
        files = training_files(self._files, work.as_training)
        require_accepted_files(files, work.as_training)
        bad_rows = self._folders.bad_rows_of_training(job.id)

        def left_out(version: int) -> Path | None:
            return bad_rows.with_name(f"errors-{version}.ndjson") if work.on_error is OnError.SKIP else None

        reader = VersionReader(self._models, self._estimators, job.model.name, work, files, left_out)
        answered: list[AnsweredVersion] = []
        unscored: list[UnscoredVersion] = []
        for at, wanted in enumerate(work.versions):
            report(Progress(at, len(work.versions), "versions"))
            found = reader.answered(wanted, with_findings=not answered)
            if isinstance(found, AnsweredVersion):
                answered.append(found)
            else:
                unscored.append(found)
        if not answered:
            raise _no_version(unscored)
        report(Progress(len(work.versions), len(work.versions), "versions", "score", answered[0].n_rows))
        scored = scored_versions(answered, answered[0].metrics.deciding)
        if not scored[0].rows.n_rows:
            raise InvalidInputError("no row of the file fits all versions; score them one by one")
        if work.on_error is OnError.SKIP:
            _join_bad_rows(bad_rows, [left_out(each.version) for each in work.versions])
        self._keep_facts(job, work, scored)
        return Result(_result(job, work, scored, unscored), job.model, answered[0].ignored or job.ignored_columns)

    def _keep_facts(self, job: Job, work: EvaluationWork, scored: Sequence[ScoredVersion]) -> None:
        path = self._folders.report(job.id)
        with disk_full_as_unavailable():
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(path) as file:
                file.write(encoded_facts(self._models, job.model.name, work, scored))


def _no_version(unscored: Sequence[UnscoredVersion]) -> QueuecastError:
    first = unscored[0].error
    if len(unscored) == 1 and isinstance(first, InvalidInputError):
        return first
    reasons = "; ".join(f"version {each.version}: {each.reason}" for each in unscored)
    detail = f"no version can be scored: {reasons}"
    return InvalidInputError(detail) if first is None else InvalidInputError(detail, first.findings, total=first.total)


def _join_bad_rows(joined: Path, parts: Sequence[Path | None]) -> None:
    """Writes each row once that does not fit one of the versions, with the reason of the first one."""
    seen: set[tuple[str, int]] = set()
    existing = [path for path in parts if path is not None and path.exists()]
    with disk_full_as_unavailable(), atomic_write(joined) as file:
        for path in existing:
            for line in path.read_bytes().splitlines(keepends=True):
                bad = json.loads(line)
                row = (bad.get("file", ""), bad["row"])
                if row not in seen:
                    seen.add(row)
                    file.write(line)
    for path in existing:
        path.unlink()


def _result(
    job: Job, work: EvaluationWork, scored: Sequence[ScoredVersion], unscored: Sequence[UnscoredVersion]
) -> dict[str, Any]:
    first = scored[0].answered
    n_rows = scored[0].rows.n_rows
    findings = most_severe(
        finding
        for each in scored
        for finding in (
            *each.answered.findings,
            *side_findings(each.answered.version, each.answered.side, each.positions),
        )
    )
    by_version = {each.answered.version: _scored_row(each) for each in scored}
    by_version |= {each.version: _unscored_row(each) for each in unscored}
    return {
        "model": job.model.name,
        "target": list(work.target),
        "headline": headline(scored),
        "metric": first.metrics.deciding,
        "compared_with": first.version,
        "rows": {"scored": n_rows, "bad": first.n_rows - n_rows},
        "versions": [by_version[each.version] for each in work.versions],
        "bad_cells": [asdict(cell) for cell in _bad_cells(scored)],
        "findings": [asdict(finding) for finding in findings.first],
        "findings_total": findings.total,
    }


def _scored_row(scored: ScoredVersion) -> dict[str, Any]:
    answered = scored.answered
    has_score = any(each.score is not None for each in scored.scores)
    metric = scored.scores[0].metric
    reason = f"it has no score by {metric}" if scored.scores[0].score is None else ""
    return {
        "version": answered.version,
        "alias": answered.alias,
        "scored": has_score,
        "reason": reason,
        "scores": [_score_row(each) for each in scored.scores],
        "not_compared": scored.not_compared,
        "fitted": shown_side(answered.side, scored.positions),
    }


def _unscored_row(unscored: UnscoredVersion) -> dict[str, Any]:
    row: dict[str, Any] = {"version": unscored.version, "alias": unscored.alias, "scored": False}
    return row | {"reason": unscored.reason, "scores": [], "not_compared": "", "fitted": None}


def _score_row(score: MetricScore) -> dict[str, Any]:
    parts = {"score": score.score, "difference": score.difference}
    return {"metric": score.metric} | {name: None if each is None else asdict(each) for name, each in parts.items()}


def _bad_cells(scored: Sequence[ScoredVersion]) -> Iterator[BadCell]:
    """The first of all versions, each once."""
    cells = {(cell.file, cell.row, cell.column, cell.code): cell for each in scored for cell in each.answered.bad_cells}
    yield from sorted(cells.values(), key=lambda cell: (cell.file, cell.row))[:MAX_FINDINGS]
