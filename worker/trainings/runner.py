"""Retraining: a file in, a version out, and the champion moves only to something that is not worse.

No user code runs: the champion's estimator is cloned, given the parameters, and fitted on the file's rows without the
holdout. Champion and challenger are then scored now, on the same holdout rows. A champion whose holdout is unknown
may have seen those rows and would look unbeatable, so then the job says "incomparable" and leaves it to a person.
"""

import hashlib
import math
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sklearn.base import clone, is_classifier, is_regressor
from sklearn.utils._param_validation import InvalidParameterError

from queuecast.domain.batch import training_format
from queuecast.domain.errors import Finding, InvalidInputError, RunFailedError, raised
from queuecast.domain.gate import Comparison, is_promoted
from queuecast.domain.holdout import METHOD, HoldoutRule, Split, holdout
from queuecast.domain.job import Job, ModelRef, Progress
from queuecast.domain.model import CHALLENGER, CHAMPION, Lineage, Manifest
from queuecast.domain.signature import Layout
from queuecast.domain.work import Promote, TrainingWork
from queuecast.ports.aliases import AliasStore
from queuecast.ports.clock import Clock
from queuecast.ports.files import FileStore
from queuecast.ports.models import ModelRegistry
from worker.engine.contracts import Report, Result
from worker.models.loading import EstimatorCache, dump_estimator, environment, reset_n_jobs
from worker.models.promotion import promote
from worker.models.publishing import estimator_text, publish, sha256_of
from worker.models.signatures import learn_signature
from worker.trainings.rows import TrainingRows, read_training_rows
from worker.trainings.threads import Threads, using

_SHOWN_LABELS = 5
STAGES = ("read", "split", "fit", "score", "publish", "promote")


@dataclass(frozen=True, slots=True)
class Trial:
    """One retraining's parts once it is fitted and scored."""

    champion: Manifest
    challenger: Any
    rows: TrainingRows
    split: Split
    comparison: Comparison


class TrainingRunner:
    def __init__(
        self,
        models: ModelRegistry,
        aliases: AliasStore,
        files: FileStore,
        estimators: EstimatorCache,
        clock: Clock,
        threads: Threads = Threads(),  # noqa: B008 - frozen
    ) -> None:
        self._models = models
        self._aliases = aliases
        self._files = files
        self._estimators = estimators
        self._clock = clock
        self._threads = threads

    def run(self, job: Job, work: TrainingWork, report: Report) -> Result:
        """Raises InvalidInputError for a file or parameters that do not fit, RunFailedError when the fit raises."""
        champion = self._models.manifest(job.model.name, job.model.pinned_version)
        # A run before this one may have published and died: a job makes one version.
        published = self._models.made_by(job.model.name, job.id) or self._made(job, work, champion, report)
        report(_stage("promote"))
        metrics, lineage = published.metrics, published.lineage
        comparison = Comparison(metrics["metric"], metrics["champion"], metrics["challenger"], metrics["reason"])
        promoted, reason = self._promote(job, published, comparison, work.promote)
        return Result(
            {
                "model": published.model,
                "version": published.version,
                "verdict": comparison.verdict,
                "promoted": promoted,
                "reason": reason,
                "metric": comparison.metric,
                "champion": {"version": champion.version, "score": comparison.champion},
                "challenger": {"version": published.version, "score": comparison.challenger},
                "rows": {"train": lineage.train_rows, "holdout": lineage.holdout_rows} if lineage else {},
            },
            ModelRef(published.model, published.version, sha256=published.sha256),
        )

    def _made(self, job: Job, work: TrainingWork, champion: Manifest, report: Report) -> Manifest:
        report(_stage("read"))
        path = self._files.path(work.file_id)
        _require_frozen(path, work.file_sha256)
        stored = self._files.stat(work.file_id)
        fitted_champion = self._estimators.of(champion)
        file_format = training_format(stored.name, stored.media_type)
        rows = read_training_rows(path, champion, work, file_format, needs_numbers=is_regressor(fitted_champion))
        report(_stage("split", len(rows.target)))
        split = _split(rows, champion)
        report(_stage("fit", len(split.train)))
        with using(self._threads):
            challenger = _fit(fitted_champion, work, rows, split)
        report(_stage("score", len(split.test)))
        comparison = _compare(champion, fitted_champion, challenger, work.target, rows, split)
        report(_stage("publish"))
        return self._publish(job, work, Trial(champion, challenger, rows, split, comparison))

    def _publish(self, job: Job, work: TrainingWork, trial: Trial) -> Manifest:
        data = dump_estimator(trial.challenger)
        signature, golden = learn_signature(trial.challenger, trial.rows.taken(trial.split.train))
        comparison, parent, split = trial.comparison, trial.champion.version, trial.split
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
            metrics={
                "metric": comparison.metric,
                "verdict": comparison.verdict,
                "reason": comparison.reason,
                "challenger": comparison.challenger,
                "champion": comparison.champion,
                "champion_version": parent,
                "holdout_rows": len(split.test),
            },
            lineage=Lineage(parent, work.file_sha256, work.params, len(split.train), len(split.test)),
            description=f"retrained from version {parent}",
        )
        return publish(self._models, manifest, data, trial.challenger, golden)

    def _promote(self, job: Job, published: Manifest, comparison: Comparison, policy: Promote) -> tuple[bool, str]:
        """Whether the champion moved, and why or why not."""
        verdict = comparison.verdict
        reason = comparison.reason or (
            f"{comparison.metric} {comparison.challenger:.6g} against {comparison.champion:.6g}, {verdict}"
        )
        if is_promoted(verdict, policy):
            expected = job.model.pinned_version
            moved = self._moved(job, published, CHAMPION, expected, reason)
            return moved, reason if moved else f"{reason}; the champion was moved in between, so nothing was promoted"
        if policy is not Promote.NEVER:
            self._challenge(job, published, reason)
        return False, reason if policy is Promote.AUTO else f"{reason}; promote is {policy}"

    def _challenge(self, job: Job, published: Manifest, reason: str) -> None:
        """Points `challenger` at the new version, wherever it pointed before."""
        while True:
            expected = self._aliases.read(published.model).versions.get(CHALLENGER)
            if self._moved(job, published, CHALLENGER, expected, reason):
                return

    def _moved(self, job: Job, published: Manifest, alias: str, expected: int | None, reason: str) -> bool:
        return promote(
            self._aliases,
            published,
            expected=expected,
            at=self._clock(),
            action="training",
            reason=reason,
            alias=alias,
            run=job,
        )


def _require_frozen(path: Path, sha256: str) -> None:
    """Raises InvalidInputError unless the bytes are those that the job was accepted for."""
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        raise InvalidInputError(
            f"the file has sha256 {found} now, the job was accepted for {sha256}", code="file_changed"
        )


def _split(rows: TrainingRows, champion: Manifest) -> Split:
    rule = champion.holdout or HoldoutRule()
    if rule.method != METHOD:
        raise RunFailedError(f"version {champion.version} was split by {rule.method!r}; this worker knows {METHOD!r}")
    names = rule.columns or tuple(column.name for column in champion.signature.columns)
    features = rows.features
    if champion.signature.layout is Layout.ARRAY:
        features = features.tolist()
    split = holdout(features, rule.fraction, names)
    if not split.train:
        raise InvalidInputError(f"all {len(split.test)} rows of the file are held out; nothing is left to fit on")
    return split


def _fit(champion: Any, work: TrainingWork, rows: TrainingRows, split: Split) -> Any:
    try:
        challenger = clone(champion).set_params(**work.params)
    except (ValueError, TypeError, AttributeError) as error:
        raise _invalid_params(error) from error
    reset_n_jobs(challenger)  # `n_jobs` among the parameters would be the machine's cores, not this container's
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a ConvergenceWarning on stderr is useless; the score shows it
            return challenger.fit(rows.taken(split.train), rows.target[split.train])
    except InvalidParameterError as error:
        raise _invalid_params(error) from error
    except Exception as error:  # an estimator raises what it likes
        raise RunFailedError(f"fit raised {raised(error)}", code="fit_failed") from error


def _invalid_params(error: Exception) -> InvalidInputError:
    finding = Finding("/params", "invalid_params", str(error))
    return InvalidInputError(f"the parameters do not fit the estimator: {error}", (finding,))


def _compare(
    champion: Manifest,
    fitted_champion: Any,
    challenger: Any,
    target_names: tuple[str, ...],
    rows: TrainingRows,
    split: Split,
) -> Comparison:
    metric = _metric(challenger)
    if metric is None:
        return Comparison(None, None, None, f"{type(challenger).__name__} has no score method")
    if not split.test:
        return Comparison(metric, None, None, "no row of the file is held out")
    features, target = rows.taken(split.test), rows.target[split.test]
    new = _score(challenger, features, target)
    if not _may_be_of(champion.target, target_names):
        known, found = ", ".join(champion.target), ", ".join(target_names)
        return Comparison(metric, None, new, f"the champion was fitted on the target {known}, this version on {found}")
    if champion.holdout is None:
        reason = f"the rows that version {champion.version} was fitted on are unknown, so its score means nothing"
        return Comparison(metric, None, new, reason)
    old = _score(fitted_champion, features, target)
    if None not in (old, new):
        return Comparison(metric, old, new)
    return Comparison(metric, old, new, _other_labels(champion, rows.target) or "no finite score on the holdout rows")


def _may_be_of(known: tuple[str, ...], found: tuple[str, ...]) -> bool:
    """Whether both may name one target. A `y` without a name was recorded as `target`, or as `target0` and so on."""
    is_nameless = known in ((), ("target",), tuple(f"target{index}" for index in range(len(known))))
    return is_nameless or known == found


def _other_labels(champion: Manifest, target: Any) -> str | None:
    """Says so where the labels are words and the champion's are none."""
    classes = champion.classes or []
    if not classes or isinstance(classes[0], (list, str)) or target.dtype != object:
        return None
    return f"the file has the labels {_listed(sorted(set(target)))} where the champion predicts {_listed(classes)}"


def _listed(labels: list[Any]) -> str:
    shown = [repr(label) for label in labels[:_SHOWN_LABELS]]
    last = f"{len(labels) - _SHOWN_LABELS} more" if len(labels) > _SHOWN_LABELS else shown.pop()
    return f"{', '.join(shown)} and {last}" if shown else last


def _metric(estimator: Any) -> str | None:
    """The name of the metric of `estimator.score`. All of them are "higher is better" (scikit-learn's convention)."""
    if not hasattr(estimator, "score"):
        return None
    if hasattr(estimator, "scorer_"):  # a search has a scorer of its own
        return "score"
    return "accuracy" if is_classifier(estimator) else "r2" if is_regressor(estimator) else "score"


def _score(estimator: Any, features: Any, target: Any) -> float | None:
    try:
        score = float(estimator.score(features, target))
    except Exception:  # a label or a category that it never saw, a metric for one output: it raises what it likes
        return None
    return score if math.isfinite(score) else None


def _stage(stage: str, rows: int | None = None) -> Progress:
    return Progress(STAGES.index(stage), len(STAGES), "stages", stage, rows)
