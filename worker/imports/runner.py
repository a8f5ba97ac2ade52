"""Turns a pushed model file into a version, or refuses it. The first version of a name becomes its champion."""

from contextlib import suppress
from typing import Any

import msgspec

from queuecast.domain.columns.outside_columns import require_known_meaning
from queuecast.domain.errors import JobStoppedError, QueuecastError, UnavailableError
from queuecast.domain.holdout import decides_by_meaning
from queuecast.domain.job import Job, ModelRef
from queuecast.domain.model import Manifest
from queuecast.domain.trainings.reference import REFERENCE_FILE
from queuecast.domain.work import ImportWork
from queuecast.ports.aliases import AliasStore
from queuecast.ports.clock import Clock
from queuecast.ports.files import FileStore
from queuecast.ports.models import ModelRegistry
from worker.data_checks.references import counted_names, learn_reference
from worker.engine.contracts import Report, Result
from worker.imports.example_rows import read_example
from worker.imports.held_out_scores import with_scores
from worker.imports.notebook_comparison import compare_answers
from worker.models.loading import environment, load_estimator, require_sha256
from worker.models.promotion import move_alias
from worker.models.publishing import estimator_text, publish
from worker.models.rows.text_signatures import learn_row_signature
from worker.stages import stage_progress

STAGES = ("load", "try", "score", "publish")


class ImportRunner:
    def __init__(self, models: ModelRegistry, aliases: AliasStore, files: FileStore, clock: Clock) -> None:
        self._models = models
        self._aliases = aliases
        self._files = files
        self._clock = clock

    def run(self, job: Job, work: ImportWork, report: Report) -> Result:
        """Raises ModelRefusedError or InvalidInputError.

        Deletes the uploaded files after a success or a refusal. A run that was stopped leaves them for the next run;
        the reaper deletes the files of a canceled job as unused files.
        """
        published = self._models.made_by(job.model.name, job.id)
        try:
            if published is None:
                published = self._publish(job, work, report)
            result = self._promote(job, published)
        except (JobStoppedError, UnavailableError):
            raise
        except Exception:
            self._delete_files(work)
            raise
        self._delete_files(work)
        return result

    def _publish(self, job: Job, work: ImportWork, report: Report) -> Manifest:
        report(stage_progress(STAGES, "load"))
        data = self._files.path(work.model_file_id).read_bytes()
        sha256 = self._files.stat(work.model_file_id).sha256
        require_sha256(data, sha256, "the uploaded model file")
        estimator = load_estimator(data)
        report(stage_progress(STAGES, "try"))
        example = self._files.stat(work.example_file_id)
        known = read_example(self._files.path(example.id), example.media_type, estimator, work.target)
        may_be_unread = work.holdout is None or decides_by_meaning(work.holdout)
        signature, golden = learn_row_signature(
            estimator, known.rows, known.facts, naming=known.naming, may_be_unread=may_be_unread
        )
        if work.holdout is not None:
            require_known_meaning(work.holdout, signature)
        compared_rows = 0
        if known.answers is not None:
            compared = compare_answers(estimator, signature, known.answers)
            compared_rows = len(compared.rows)
            golden = compared if compared_rows else golden
        manifest = Manifest(
            model=job.model.name,
            version=0,
            sha256=sha256,
            size_bytes=len(data),
            created_at=self._clock(),
            job_id=job.id,
            source="push",
            estimator=estimator_text(estimator),
            environment=environment(),
            signature=signature,
            target=work.target,
            holdout=work.holdout,
            description=work.description,
            compared_rows=compared_rows,
            gate=work.gate,
        )
        reference = learn_reference(known.rows, counted_names(signature))
        records: dict[str, bytes] = {}
        if work.held_out_file_id is not None:
            report(stage_progress(STAGES, "score"))
            path, stored = self._files.path(work.held_out_file_id), self._files.stat(work.held_out_file_id)
            manifest, reference, records = with_scores(manifest, estimator, path, stored, reference)
        records[REFERENCE_FILE] = msgspec.json.encode(reference)
        report(stage_progress(STAGES, "publish"))
        return publish(self._models, self._aliases, manifest, data, estimator, golden, records)

    def _promote(self, job: Job, published: Manifest) -> Result:
        promoted = move_alias(
            self._aliases,
            published,
            expected=None,
            at=self._clock(),
            action="import",
            reason="first version",
            run=job,
        )
        value: dict[str, Any] = {
            "model": published.model,
            "version": published.version,
            "sha256": published.sha256,
            "promoted": promoted,
            "methods": list(published.signature.methods),
        }
        return Result(value, ModelRef(published.model, published.version, sha256=published.sha256))

    def _delete_files(self, work: ImportWork) -> None:
        held_out = () if work.held_out_file_id is None else (work.held_out_file_id,)
        for file_id in (work.model_file_id, work.example_file_id, *held_out):
            with suppress(QueuecastError):  # it may be deleted already
                self._files.delete(file_id)
