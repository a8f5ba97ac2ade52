"""Retrains a model on an uploaded file, publishes the version, and promotes it only if it is not worse.

No user code runs: a clone of the champion's estimator gets the parameters and is fitted on the rows that are not held
out. Then champion and challenger are scored on the same held-out rows, and the gate decides by these scores. A champion
with an unknown holdout may have been fitted on those rows and would look unbeatable, so the verdict is "incomparable"
and a person decides.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import msgspec
from sklearn.base import is_regressor

from queuecast.domain.errors import InvalidInputError, RunFailedError
from queuecast.domain.findings.data_findings import most_severe
from queuecast.domain.gate import EVALUATION_FILE, Decision, Evaluation, PromotionPolicy, decide, is_promoted
from queuecast.domain.holdout import Split, decides_by_meaning
from queuecast.domain.job import Job, ModelRef
from queuecast.domain.model import CHALLENGER, CHAMPION, Lineage, Manifest
from queuecast.domain.reports import REPORT_FILE, TrainingFacts
from queuecast.domain.trainings.fit_mode import FitMode
from queuecast.domain.trainings.reference import REFERENCE_FILE, Reference
from queuecast.domain.trainings.searching import SearchSummary
from queuecast.domain.work import OnError, TrainingWork
from queuecast.plurals import counted
from queuecast.ports.aliases import AliasStore
from queuecast.ports.batches import BatchFiles
from queuecast.ports.clock import Clock
from queuecast.ports.files import FileStore
from queuecast.ports.models import ModelRegistry
from worker.engine.contracts import Report, Result
from worker.labelled.fitted_rows import first_fitted_rows, fitted_rows
from worker.labelled.held_out_rows import HELD_OUT_FILE, held_out_record, remembered_rows
from worker.labelled.row_split import split_rows
from worker.labelled.training_files import ignored_in_files, require_accepted_files, training_files
from worker.labelled.training_rows import TrainingRows, read_training_rows
from worker.models.columns.column_facts import facts_of
from worker.models.loading import EstimatorCache, dump_estimator, environment, sha256_of
from worker.models.promotion import move_alias
from worker.models.publishing import estimator_text, publish
from worker.models.rows.text_signatures import learn_row_signature
from worker.models.signatures import Naming
from worker.reports.training_facts import ScoredTraining, training_facts
from worker.stages import stage_progress
from worker.trainings.challengers.frozen_parts import not_refitted
from worker.trainings.challengers.param_search import searched_params
from worker.trainings.challengers.updates import kept_steps, require_updatable
from worker.trainings.checking import check_training_rows
from worker.trainings.comparison import Comparison, Contest, compare
from worker.trainings.evaluations import read_evaluation, recorded_metrics, training_result
from worker.trainings.fitting import (
    fit_with_needs,
    predicts_table,
    prepared_challenger,
    reading,
    update_challenger,
)
from worker.trainings.moved_rows import count_moved_rows
from worker.trainings.threads import Threads, using_threads
from worker.trainings.unlabelled_comparison import is_unlabelled, require_target, unlabelled_evidence

STAGES = ("read", "split", "check", "fit", "score", "publish", "promote")


@dataclass(frozen=True, slots=True)
class Trial:
    """A challenger that is fitted and scored, and the champion, rows and split that it came from."""

    champion: Manifest
    challenger: Any
    rows: TrainingRows
    split: Split
    evaluation: Evaluation
    reference: Reference
    params: dict[str, Any]
    search: SearchSummary | None
    facts: TrainingFacts


class TrainingRunner:
    def __init__(
        self,
        models: ModelRegistry,
        aliases: AliasStore,
        files: FileStore,
        estimators: EstimatorCache,
        folders: BatchFiles,
        clock: Clock,
        threads: Threads = Threads(),  # noqa: B008 - frozen
    ) -> None:
        self._models = models
        self._aliases = aliases
        self._files = files
        self._estimators = estimators
        self._folders = folders
        self._clock = clock
        self._threads = threads

    def run(self, job: Job, work: TrainingWork, report: Report) -> Result:
        """Raises InvalidInputError for a file or parameters that do not fit, RunFailedError if the fit fails."""
        champion = self._models.manifest(job.model.name, job.model.pinned_version)
        # A job makes one version, which an earlier run may have published before it died.
        published, ignored = self._models.made_by(job.model.name, job.id), None
        if published is None:
            ignored = ignored_in_files(training_files(self._files, work), work, champion, job.ignored_columns)
            published = self._make_version(job, work, champion, report)
        report(stage_progress(STAGES, "promote"))
        evaluation = read_evaluation(self._models, published)
        promoted, reason = self._promote(job, published, evaluation.decision, work.promote)
        return Result(
            training_result(published, champion.version, evaluation, promoted=promoted, reason=reason),
            ModelRef(published.model, published.version, sha256=published.sha256),
            ignored,
        )

    def _make_version(self, job: Job, work: TrainingWork, champion: Manifest, report: Report) -> Manifest:
        report(stage_progress(STAGES, "read"))
        files = training_files(self._files, work)
        require_accepted_files(files, work)
        champion_estimator = self._estimators.load(champion)
        require_target(champion_estimator, work.target)
        is_update = work.mode is FitMode.UPDATE
        if is_update:
            require_updatable(champion_estimator)
        read = partial(
            read_training_rows,
            files,
            work=work,
            needs_numbers=is_regressor(champion_estimator),
            is_table=predicts_table(champion_estimator, champion),
            left_out=self._folders.bad_rows_of_training(job.id) if work.on_error is OnError.SKIP else None,
        )
        rows = read(champion)
        while True:
            report(stage_progress(STAGES, "split", rows.n_rows))
            split = split_rows(rows, champion, work.roles, first_fitted_rows(self._models, champion))
            report(stage_progress(STAGES, "check", rows.n_rows))
            checked, reference = check_training_rows(
                self._models, champion, champion_estimator, rows, split, work.target, keeps_classes=is_update
            )
            with using_threads(self._threads):
                prepare = partial(prepared_challenger, champion_estimator)
                params, summary = searched_params(
                    work, champion_estimator, prepare, rows, split.train, job.timeout_s / 2, report
                )
            report(stage_progress(STAGES, "fit", len(split.train)))
            with using_threads(self._threads):
                if is_update:
                    challenger, needed = update_challenger(champion_estimator, rows, split.train), frozenset[str]()
                else:
                    challenger, needed = fit_with_needs(champion, champion_estimator, params, rows, split.train)
            if not needed:
                break
            champion = reading(champion, needed)  # the parameters made a step read them: with their values, once more
            try:
                rows = read(champion)
            except InvalidInputError as error:
                if isinstance(challenger, RunFailedError):
                    raise RunFailedError(f"{challenger.detail}; {error.detail}", code=challenger.code) from error
                raise
        report(stage_progress(STAGES, "score", len(split.test)))
        moved = count_moved_rows(fitted_rows(self._models, champion), champion, rows, split)
        data = dump_estimator(challenger)
        # The champion's held-out rows are among those of the challenger's fit, if a newer file is split by time.
        remembers = work.gate.remember and not split.rule.is_by_time
        have_weights = rows.weights is not None
        known = remembered_rows(self._models, champion, have_weights=have_weights) if remembers else None
        contest = Contest(
            champion, champion_estimator, challenger, work.target, rows, split, len(data), moved, known, work.roles
        )
        if is_unlabelled(contest, work.gate):
            comparison = Comparison(unlabelled_evidence(contest, work.gate), None)
        else:
            comparison = compare(contest, work.gate)
        unchanged = kept_steps(challenger) if is_update else not_refitted(challenger)
        findings = most_severe([*checked, *unchanged])
        evidence = replace(comparison.evidence, data_errors=tuple(each.detail for each in findings.errors))
        evaluation = Evaluation(work.gate, evidence, decide(work.gate, evidence), findings)
        facts = training_facts(_scored(contest, comparison))
        report(stage_progress(STAGES, "publish"))
        return self._publish(
            job, work, Trial(champion, challenger, rows, split, evaluation, reference, params, summary, facts), data
        )

    def _publish(self, job: Job, work: TrainingWork, trial: Trial, data: bytes) -> Manifest:
        known = facts_of(trial.champion.signature)
        signature, golden = learn_row_signature(
            trial.challenger,
            trial.rows.take_features(trial.split.train),
            known,
            trial.champion.signature,
            naming=Naming.of(trial.champion.signature),
            may_be_unread=decides_by_meaning(trial.split.rule),
        )
        evaluation, parent, split = trial.evaluation, trial.champion.version, trial.split
        manifest = replace(
            trial.champion,
            sha256=sha256_of(data),
            size_bytes=len(data),
            created_at=self._clock(),
            job_id=job.id,
            source="training",
            estimator=estimator_text(trial.challenger),
            environment=environment(),
            signature=signature,
            target=work.target,
            holdout=split.rule,
            metrics=recorded_metrics(evaluation, parent),
            gate=work.gate,
            lineage=Lineage(
                parent,
                work.file_sha256,
                trial.params,
                len(split.train),
                len(split.test),
                trial.rows.bad_rows,
                trial.rows.bad_cells,
                tuple(accepted.sha256 for accepted in work.more_files),
                work.roles,
                evaluation.findings.total,
                mode=work.mode,
                search=trial.search,
            ),
            description=f"{'updated' if work.mode is FitMode.UPDATE else 'retrained'} from version {parent}",
            compared_rows=0,
        )
        records = {
            EVALUATION_FILE: msgspec.json.encode(evaluation),
            REFERENCE_FILE: msgspec.json.encode(trial.reference),
            REPORT_FILE: msgspec.json.encode(trial.facts),
        }
        held_out = held_out_record(signature, trial.rows, split.test) if work.gate.remember else None
        if held_out is not None:
            records[HELD_OUT_FILE] = held_out
        return publish(self._models, self._aliases, manifest, data, trial.challenger, golden, records)

    def _promote(self, job: Job, published: Manifest, decision: Decision, policy: PromotionPolicy) -> tuple[bool, str]:
        """Whether the champion moved, and why or why not."""
        verdict, reason = decision.verdict, decision.reason
        if published.lineage is not None and published.lineage.bad_rows:
            reason += f"; {counted(published.lineage.bad_rows, 'bad row')} of the file left out"
        if is_promoted(verdict, policy):
            expected = job.model.pinned_version
            moved = self._move_alias(job, published, CHAMPION, expected, reason)
            return moved, reason if moved else f"{reason}; the champion was moved in between, so nothing was promoted"
        if policy is not PromotionPolicy.NEVER:
            self._set_challenger(job, published, reason)
        return False, reason if policy is PromotionPolicy.AUTO else f"{reason}; promote is {policy}"

    def _set_challenger(self, job: Job, published: Manifest, reason: str) -> None:
        """Points `challenger` at the new version, whichever version it points at now."""
        while True:
            expected = self._aliases.read(published.model).versions.get(CHALLENGER)
            if self._move_alias(job, published, CHALLENGER, expected, reason):
                return

    def _move_alias(self, job: Job, published: Manifest, alias: str, expected: int | None, reason: str) -> bool:
        return move_alias(
            self._aliases,
            published,
            expected=expected,
            at=self._clock(),
            action="training",
            reason=reason,
            alias=alias,
            run=job,
        )


def _scored(contest: Contest, comparison: Comparison) -> ScoredTraining:
    deciding = comparison.evidence.held_out.deciding
    return ScoredTraining(
        contest.challenger_estimator,
        contest.champion.signature,
        contest.target_names,
        contest.rows.take_features,
        contest.rows.target,
        contest.split,
        comparison.rows,
        "" if deciding is None else deciding.metric,
        contest.rows.weights,
        contest.rows.bad_rows,
        contest.rows.bad_cells,
    )
