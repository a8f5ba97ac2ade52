"""Trainings: uploads the files of a training and submits it."""

from collections.abc import Sequence
from functools import partial
from os import PathLike
from pathlib import PurePath
from typing import Any

import httpx2

from queuecast.client.job import JobHandle
from queuecast.client.model_administration import ModelAdministration, model_path
from queuecast.client.row_formats.rows_of_dicts import refuse_moments
from queuecast.client.row_formats.table_files import MEDIA_TYPES, ProgressCallback, open_table
from queuecast.client.row_formats.training_tables import are_whole_rows, upload_with_target
from queuecast.client.table_uploads import upload_fit, upload_table
from queuecast.client.trainings.params import champion_target, training_params, training_search
from queuecast.client.transport import Body, read_json
from queuecast.domain.findings.bounds import list_names


class Training(ModelAdministration):
    """The part of a client that retrains models."""

    def train(
        self,
        model: str,
        source: Any,
        target: Any = None,
        params: Body | None = None,
        promote: str = "auto",
        extra_columns: str | None = None,
        on_error: str | None = None,
        *,
        y: Any = None,
        gate: Body | None = None,
        mode: str | None = None,
        search: Body | None = None,
        weight_column: str | None = None,
        group_column: str | None = None,
        time_column: str | None = None,
        id_column: str | None = None,
    ) -> JobHandle:
        """Uploads a training file and submits a training that refits the model's champion on it.

        source: a file's path, a DataFrame or dicts, with features and target; a list of paths or DataFrames, which are
        read as one table; or texts. target: the name of the column, columns or key to learn; of texts and dicts without
        them, the targets, as for `fit`; nothing for an estimator that learns without. y: the targets, as for `push`, if
        source has only the features; target is their name then. params: for the estimator's `set_params`.
        promote: auto (if the new version is not worse), manual (it stays the challenger) or never.
        extra_columns: as for `predict_file`. on_error: a row that does not fit fails the training (fail, the default),
        or is left out and listed by `JobHandle.errors` (skip). gate: settings of the gate, such as
        `{"metric": "roc_auc"}` (docs/10-gate.md); the champion's hold for the others. mode: refit (the default), or
        update: a copy of the champion goes on learning with `partial_fit`. search: candidates for parameters, such as
        `{"param_distributions": {"C": [0.1, 1]}, "n_candidates": 30}` (docs/04-models.md).
        weight_column: how much each row counts. group_column: rows with the same value are never split.
        time_column: the newest rows are held out. id_column: names a row. None of them needs to be a feature.
        Raises ValueError for parameters that the estimator lacks or JSON cannot hold, before the file is uploaded.
        """
        path = model_path(model)
        sent_params = training_params(self._transport, path, params or {})
        sent_search = None if search is None else training_search(self._transport, path, search)
        roles = given(weight_column=weight_column, group_column=group_column, time_column=time_column)
        roles |= given(id_column=id_column)
        if target is None and y is None and (known := champion_target(self._transport, path)):
            raise TypeError(f"train needs target= or y=: the champion learned {list_names(known)}")
        body, target = self._labelled(model, source, target, y, list(roles.values()))
        body |= {"target": [] if target is None else target, "params": sent_params, "promote": promote}
        body |= given(extra_columns=extra_columns, on_error=on_error, gate=gate, mode=mode, search=sent_search) | roles
        response = self._transport.send("POST", f"{path}/trainings", body=body, is_submit=True)
        return self._job(response).warn_of_ignored_columns()

    def _labelled(self, model: str, source: Any, target: Any, y: Any, needed: Sequence[str]) -> tuple[Body, Any]:
        """Uploads rows with their target: the fields of a request that name the files, and the target. source, target,
        y: as for `train`. needed: further columns that the request names."""
        path = model_path(model)
        if are_tables(source):
            sent = partial(self._sent_table, self.upload, model, None, needed=[*_listed(target), *needed])
            return {"file_ids": [sent(each)["id"] for each in source]}, target
        if are_whole_rows(source) and (target is not None or y is not None):
            refuse_moments(self, model, None, source)
            file, target = upload_with_target(self._transport, path, source, target, y)
        elif y is not None:
            upload = partial(upload_fit, self._transport, path, y=y, target=target)
            file, target = self._sent_table(upload, model, None, source)
        else:
            file = self._sent_table(self.upload, model, None, source, [*_listed(target), *needed])
        return {"file_id": file["id"]}, target

    def upload(self, source: Any, on_upload: ProgressCallback | None = None) -> Body:
        """Uploads a CSV, NDJSON or Parquet file or a DataFrame and returns its description (`id`, `sha256`, ...).

        A DataFrame is sent as Parquet. Raises ValueError for a column that Parquet cannot hold. on_upload: called with
        the bytes sent so far and the total.
        """
        with open_table(source) as table:
            return upload_table(self._transport, table, on_upload)

    def _job(self, response: httpx2.Response) -> JobHandle:
        return JobHandle(self._transport, read_json(response))


def are_tables(source: Any) -> bool:
    """Whether a source is a list of several: paths of files, or DataFrames. A list of other texts is rows."""
    return isinstance(source, list | tuple) and bool(source) and all(map(_is_table, source))


def _is_table(source: Any) -> bool:
    if isinstance(source, str):
        return PurePath(source).suffix.lower() in MEDIA_TYPES
    return isinstance(source, PathLike) or hasattr(source, "columns")


def _listed(names: str | Sequence[str] | None) -> list[str]:
    return [names] if isinstance(names, str) else list(names or ())


def given(**fields: Any) -> Body:
    """The fields that the caller has set; the gateway has defaults for the others."""
    return {name: value for name, value in fields.items() if value is not None}
