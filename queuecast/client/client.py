"""The Python client of a running gateway: submits rows, files and models, and reads jobs, queues and models.

It takes objects of pandas, polars and numpy without importing their libraries, and imports skops only to push a model.
"""

import json
import os
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import partial
from html import escape
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from queuecast.client.errors import ApiError, TooManyRows
from queuecast.client.job import JobHandle
from queuecast.client.model_administration import model_path
from queuecast.client.pushing import estimator_parts, file_parts, held_out_part, push_metadata
from queuecast.client.row_formats.rows_of_dicts import refuse_moments
from queuecast.client.row_formats.table_files import ProgressCallback
from queuecast.client.row_formats.target_columns import target_names
from queuecast.client.trainings.scoring import Scoring
from queuecast.client.trainings.training import given
from queuecast.client.transport import MAX_WAIT_S, Body, FilePart, Transport, query_text, read_json
from queuecast.domain.holdout import HoldoutRule, Split

DEFAULT_URL = "http://127.0.0.1:8000"
PAGE_ROWS = 100
JOB_FILTERS = frozenset({"type", "state", "model", "version", "created_after", "metadata", "limit"})


class Client(Scoring):
    """A connection to one gateway. Use it as a context manager, or call `close`.

    url: the gateway's address; default $QUEUECAST_URL, or http://127.0.0.1:8000.
    timeout_s: how long a response may take, in addition to a wait that was asked for.
    Every method raises ApiError if the gateway answers with an error, and GatewayUnreachable if it does not answer.
    A submit carries an Idempotency-Key: it is sent again if the connection breaks, and creates one job.
    """

    def __init__(self, url: str | None = None, timeout_s: float = 30.0) -> None:
        self.url = url or os.environ.get("QUEUECAST_URL") or DEFAULT_URL
        self._transport = Transport(self.url, timeout_s)

    def __repr__(self) -> str:
        return f"<Client {self.url}>"

    def _repr_html_(self) -> str:
        return f'Client <a href="{escape(self.url)}">{escape(self.url)}</a>'

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._transport.close()

    def predict(
        self,
        model: str,
        rows: Any,
        *,
        method: str = "predict",
        version: int | str | None = None,
        metadata: Body | None = None,
        priority: str | None = None,
        extra_columns: str | None = None,
        wait_s: float = 0,
    ) -> JobHandle:
        """Submits rows and returns their job at once, or after up to `wait_s` seconds with its result.

        rows: a DataFrame, a 2-D array, a sparse matrix, or a list of dicts, lists or texts. NaN and NA become null.
        version: a version number or an alias; default: the champion. priority: low, normal or high.
        extra_columns: columns that the model does not have are ignored with an IgnoredColumnsWarning (ignore, the
        default), or refused with an ApiError (refuse). They are sent in any case.
        wait_s: how long the gateway may wait for the result before it answers, at most 30.
        Raises ValueError for rows that JSON cannot hold, before anything is sent, and TooManyRows for more rows than
        one prediction takes; `predict_file` takes any number.
        """
        refuse_moments(self, model, version, rows)
        body: Body = {"inputs": self._sent_rows(model, version, rows), "method": method}
        body |= given(version=version, metadata=metadata, priority=priority, extra_columns=extra_columns)
        path = f"{model_path(model)}/predictions"
        wait_s = min(wait_s, MAX_WAIT_S)
        try:
            response = self._transport.send("POST", path, body=body, wait_s=wait_s, is_submit=True)
        except ApiError as error:
            if error.is_too_many_rows:
                raise TooManyRows(error.status, error.problem) from error
            raise
        return self._job(response).warn_of_ignored_columns()

    def predict_file(
        self,
        model: str,
        source: Any,
        *,
        method: str = "predict",
        version: int | str | None = None,
        output_format: str = "csv",
        on_error: str = "skip",
        id_column: str | None = None,
        metadata: Body | None = None,
        priority: str | None = None,
        extra_columns: str | None = None,
        on_upload: ProgressCallback | None = None,
    ) -> JobHandle:
        """Uploads a file of rows and submits a batch that predicts them. `JobHandle.download` fetches the answers.

        source: the path of a CSV, NDJSON or Parquet file, or a DataFrame. A 2-D array suits a model that was
        fitted without column names, a list of texts or dicts one that was fitted on those.
        output_format: csv, ndjson, json or parquet.
        on_error: a row that does not fit is left out and listed by `JobHandle.errors` (skip), or it fails the batch
        (fail).
        id_column: a column of the file to copy to the answers. priority: low, normal or high.
        extra_columns: as for `predict`. A Parquet file with refused columns fails the batch, because only a worker
        reads it.
        on_upload: called with the bytes sent so far and the total.
        Raises ValueError for another kind of file and for a column that Parquet cannot hold, before anything is sent.
        """
        refuse_moments(self, model, version, source)
        upload = partial(self.upload, on_upload=on_upload)
        file = self._sent_table(upload, model, version, source, [id_column or ""])
        body: Body = {"file_id": file["id"], "method": method, "output_format": output_format, "on_error": on_error}
        body |= given(version=version, id_column=id_column, metadata=metadata)
        body |= given(priority=priority, extra_columns=extra_columns)
        response = self._transport.send("POST", f"{model_path(model)}/batches", body=body, is_submit=True)
        return self._job(response).warn_of_ignored_columns()

    def push(
        self,
        name: str,
        estimator: Any,
        X: Any,  # noqa: N803 - the name that scikit-learn gives it
        y: Any = None,
        *,
        holdout: Split | HoldoutRule | None = None,
        description: str | None = None,
        gate: Body | None = None,
    ) -> JobHandle:
        """Pushes a fitted estimator as a new version of the model `name` and returns the import job.

        X: the rows it was fitted on, of the same kind (DataFrame, array, texts or dicts); 500 of them are sent.
        y: its target; the columns of y are expected under the same names in a retraining file.
        holdout: `queuecast.holdout(X)` if the estimator was fitted on its `train` rows only, else it is not compared.
        If X and y have all rows of the split, the held-out ones are sent too: the version is scored on them, and they
        are kept for comparisons. gate: settings of the gate, as for `train`.
        Raises ImportError without skops, ValueError if a column of X cannot be sent.
        """
        metadata = push_metadata(target_names(y, X), holdout, description) | given(gate=gate)
        with held_out_part(X, y, holdout) as (fitted, held_out):
            return self._push(name, estimator_parts(estimator, fitted) | held_out, metadata)

    def push_file(
        self,
        name: str,
        path: str | Path,
        example_path: str | Path,
        target: str | Sequence[str] | None = None,
        holdout: Split | HoldoutRule | None = None,
        *,
        description: str | None = None,
    ) -> JobHandle:
        """Pushes a skops file as a new version of the model `name` and returns the import job.

        example_path: a CSV file with the rows it was fitted on, if possible all of them; at most 50,000 are sent.
        Where scikit-learn and skops are installed, the model's answers are computed here and sent along, as by `push`;
        else a NotComparedWarning says why not. Raises ValueError for a pickle, before anything is sent.
        """
        targets = [target] if isinstance(target, str) else list(target or ()) or None
        with file_parts(Path(path), Path(example_path), targets or ()) as parts:
            return self._push(name, parts, push_metadata(targets, holdout, description))

    def job(self, job_id: str) -> JobHandle:
        """The job with this id, as it is now."""
        return self._job(self._transport.send("GET", f"/v1/jobs/{quote(job_id, safe='')}"))

    def jobs(self, **filters: str | float | datetime | Body | None) -> Iterator[JobHandle]:
        """Jobs, newest first. Each page is fetched when the iterator reaches it.

        filters: type, state, model, version, created_after (a datetime with a zone, or RFC 3339), metadata (a dict of
        fields and values), and limit, the maximum number of jobs.
        """
        unknown = sorted(filters.keys() - JOB_FILTERS)
        if unknown:
            raise TypeError(f"jobs() has no filter {unknown[0]!r}, only {', '.join(sorted(JOB_FILTERS))}")
        limit = filters.pop("limit", None)
        query = {name: query_text(value) for name, value in filters.items() if value is not None}
        max_jobs = None if limit is None else int(str(limit))
        query["limit"] = str(PAGE_ROWS if max_jobs is None else min(max_jobs, PAGE_ROWS))
        bodies = self._transport.pages("/v1/jobs", query)
        return (JobHandle(self._transport, body) for body in islice(bodies, max_jobs))

    def queues(self) -> Body:
        """The lanes that have jobs (`data`), the limits and their use (`limits`), and the number of `dead_letters`."""
        body: Body = read_json(self._transport.send("GET", "/v1/queues"))
        if body.get("next_cursor"):
            rest = self._transport.pages("/v1/queues", {"cursor": body["next_cursor"]})
            body |= {"data": [*body["data"], *rest], "next_cursor": None}
        return body

    def dead_letters(self) -> Iterator[JobHandle]:
        """Jobs that failed because their attempts were used up, newest first. Pages are fetched as for `jobs`."""
        bodies = self._transport.pages("/v1/dead-letters", {"limit": str(PAGE_ROWS)})
        return (JobHandle(self._transport, body) for body in bodies)

    def replay(self, job_id: str) -> JobHandle:
        """Submits a dead letter's work again as a new job and removes it from the list.

        Raises ApiError (409) if it is no longer a dead letter, because another client has replayed it.
        """
        return self._job(self._transport.send("POST", f"/v1/dead-letters/{quote(job_id, safe='')}/replay"))

    def _push(self, name: str, files: dict[str, FilePart], metadata: Body) -> JobHandle:
        path, form = f"{model_path(name)}/versions", {"metadata": json.dumps(metadata)}
        return self._job(self._transport.send("POST", path, files=files, form=form, is_submit=True))
