"""What a data scientist imports to use a running gateway: submit rows, models and training files, get results.

Owns the words of the API in Python. Needs neither Redis nor scikit-learn; pandas and numpy objects are taken as
they come (`queuecast.client.rows`), and skops is imported when a model is pushed.
"""

import base64
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from datetime import datetime
from http import HTTPStatus
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self
from urllib.parse import quote

import httpx2

from queuecast.client.csv import csv_head
from queuecast.client.job import JobFailed, JobHandle
from queuecast.client.rows import TABLE_MEDIA_TYPE, example_table, json_rows, target_names
from queuecast.client.transport import MAX_WAIT_S, ApiError, Body, GatewayUnreachable, Transport, encode_json, read_json
from queuecast.client.uploads import TableFile, WatchedFile, Watcher, opened_table
from queuecast.domain.holdout import HoldoutRule, Split

__all__ = ["ApiError", "Client", "GatewayUnreachable", "JobFailed", "JobHandle", "TooManyRows"]

DEFAULT_URL = "http://127.0.0.1:8000"
PAGE_ROWS = 100
JOB_FILTERS = frozenset({"type", "state", "model", "version", "created_after", "limit"})

PICKLE_SUFFIXES = frozenset({".pkl", ".pickle", ".joblib"})
# Pickle protocol 2 and later; then zlib, gzip, bzip2 and xz, which joblib wraps around a pickle.
PICKLE_STARTS = (b"\x80", b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda", b"\x1f\x8b", b"BZh", b"\xfd7zXZ")


class TooManyRows(ApiError):  # noqa: N818 - names a fact, as its kin do
    """More rows than one prediction takes."""

    def __str__(self) -> str:
        return f"{super().__str__()}; Client.predict_file takes any number of rows, as a file or a DataFrame"


class Client:
    """A connection to one gateway. Use it as a context manager or call `close`.

    url: of the gateway, by default $QUEUECAST_URL or http://127.0.0.1:8000.
    timeout_s: how long one answer may take, beyond what a wait was asked for.
    Every method raises ApiError when the gateway says no and GatewayUnreachable when it does not answer.
    A submit goes with an Idempotency-Key, so it is sent again when the connection breaks and makes one job.
    """

    def __init__(self, url: str | None = None, timeout_s: float = 30.0) -> None:
        self.url = url or os.environ.get("QUEUECAST_URL") or DEFAULT_URL
        self._calls = Transport(self.url, timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._calls.close()

    def predict(
        self,
        model: str,
        rows: Any,
        *,
        method: str = "predict",
        version: int | str | None = None,
        metadata: Body | None = None,
        priority: str | None = None,
        wait_s: float = 0,
    ) -> JobHandle:
        """Submits rows and returns their job, without waiting unless told to.

        rows: a DataFrame, a 2-D array, or a list of dicts or lists; NaN and NA are sent as null.
        version: a number or an alias, by default the champion. priority: low, normal or high.
        wait_s: how long the gateway may hold its answer for the result, at most 30.
        Raises ValueError for rows that JSON cannot carry, before anything is sent, and TooManyRows for more than one
        prediction takes: `predict_file` takes any number.
        """
        body: Body = {"inputs": json_rows(rows), "method": method}
        body |= _given(version=version, metadata=metadata, priority=priority)
        path = f"{_model_path(model)}/predictions"
        wait_s = int(min(wait_s, MAX_WAIT_S))
        try:
            return self._job(self._calls.send("POST", path, body=body, wait_s=wait_s, is_submit=True))
        except ApiError as error:
            if _is_for_a_file(error):
                raise TooManyRows(error.status, error.problem) from error
            raise

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
        on_upload: Watcher | None = None,
    ) -> JobHandle:
        """Uploads a file of rows and submits a batch that predicts them; its `download` fetches the answers.

        source: the path of a CSV, NDJSON or Parquet file, or a DataFrame; more columns than the model takes are fine.
        A 2-D array is for a model that was fitted without column names.
        output_format: csv, ndjson, json or parquet. on_error: a row that does not fit is left out and told by `errors`
        (skip), or fails the batch (fail). id_column: a column of the file to copy to the answers.
        priority: low, normal or high. on_upload: called with the bytes sent so far and their number in all.
        Raises ValueError for another kind of file, before anything is sent.
        """
        with opened_table(source, keeps_types=True) as table:
            file = self._upload(table, on_upload)
        body: Body = {"file_id": file["id"], "method": method, "output_format": output_format, "on_error": on_error}
        body |= _given(version=version, id_column=id_column, metadata=metadata, priority=priority)
        return self._job(self._calls.send("POST", f"{_model_path(model)}/batches", body=body, is_submit=True))

    def train(
        self,
        model: str,
        source: Any,
        target: str | Sequence[str],
        params: Body | None = None,
        promote: str = "auto",
    ) -> JobHandle:
        """Uploads a training file and starts a retraining of the model's champion.

        source: the path of a CSV, NDJSON or Parquet file, or a DataFrame; features and target together.
        target: the column or columns to learn. params: for the estimator's `set_params`.
        promote: auto (if it is no worse), manual (stays a challenger) or never.
        """
        file = self.upload(source)
        body = {"file_id": file["id"], "target": target, "params": params or {}, "promote": promote}
        return self._job(self._calls.send("POST", f"{_model_path(model)}/trainings", body=body, is_submit=True))

    def upload(self, source: Any, on_upload: Watcher | None = None) -> Body:
        """Stores a CSV, NDJSON or Parquet file or a DataFrame and returns its description (`id`, `sha256`, ...).

        on_upload: called with the bytes sent so far and their number in all.
        """
        with opened_table(source) as table:
            return self._upload(table, on_upload)

    def push(
        self,
        name: str,
        estimator: Any,
        X: Any,  # noqa: N803 - the name that scikit-learn gives it
        y: Any = None,
        *,
        holdout: Split | HoldoutRule | None = None,
        description: str | None = None,
    ) -> JobHandle:
        """Sends a fitted estimator as a new version of the model `name`.

        X: the rows it was fitted on, of the same kind (DataFrame or array); the first 500 are sent as examples.
        y: its target, for the column names that a retraining file will have.
        holdout: what `queuecast.holdout(X)` returned, when the estimator was fitted on its `train` rows only;
        without it nobody knows which rows it has not seen.
        Raises ImportError without skops, ValueError when a column of X cannot be sent.
        """
        if isinstance(estimator, str | Path):
            raise TypeError("push takes the fitted estimator itself; push_file takes the path of a skops file")
        if isinstance(estimator, type):
            raise TypeError(f"push takes a fitted estimator, found a class; expected {estimator.__name__}().fit(X, y)")
        try:
            import skops.io  # noqa: PLC0415 - a client that only predicts does not need it
        except ImportError as error:
            raise ImportError("push writes the estimator with skops, which is not here: pip install skops") from error
        example = encode_json(example_table(X))
        metadata = _push_metadata(target_names(y), holdout, description)
        files: dict[str, tuple[str, IO[bytes] | bytes, str]] = {
            "model": ("model.skops", skops.io.dumps(estimator), "application/octet-stream"),
            "example": ("example.json", example, TABLE_MEDIA_TYPE),
        }
        return self._push(name, files, metadata)

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
        """Sends a skops file as a new version of the model `name`.

        example_path: rows it was fitted on, as CSV, best all of them; at most 50,000 are sent.
        Raises ValueError for a pickle, with the command that converts it, before anything is sent.
        """
        path, example_path = Path(path), Path(example_path)
        targets = [target] if isinstance(target, str) else list(target or ()) or None
        with path.open("rb") as model:
            _refuse_pickle(path, model.read(8))
            files: dict[str, tuple[str, IO[bytes] | bytes, str]] = {
                "model": (path.name, model, "application/octet-stream"),
                "example": (example_path.name, csv_head(example_path), "text/csv"),
            }
            return self._push(name, files, _push_metadata(targets, holdout, description))

    def job(self, job_id: str) -> JobHandle:
        return self._job(self._calls.send("GET", f"/v1/jobs/{quote(job_id, safe='')}"))

    def jobs(self, **filters: str | float | datetime | None) -> Iterator[JobHandle]:
        """Jobs, newest first, page after page as they are asked for.

        filters: type, state, model, version, created_after (a datetime with a time zone, or RFC 3339), and
        limit, the number of jobs in all.
        """
        unknown = sorted(filters.keys() - JOB_FILTERS)
        if unknown:
            raise TypeError(f"jobs() has no filter {unknown[0]!r}, only {', '.join(sorted(JOB_FILTERS))}")
        limit = filters.pop("limit", None)
        query = {
            name: value.isoformat() if isinstance(value, datetime) else str(value)
            for name, value in filters.items()
            if value is not None
        }
        rows = None if limit is None else int(str(limit))
        query["limit"] = str(PAGE_ROWS if rows is None else min(rows, PAGE_ROWS))
        found = self._pages("/v1/jobs", query)
        return (JobHandle(self._calls, body) for body in islice(found, rows))

    def queues(self) -> Body:
        """The lanes with jobs in them (`data`), the limits and their fill (`limits`), how many `dead_letters`."""
        body: Body = read_json(self._calls.send("GET", "/v1/queues"))
        return body

    def dead_letters(self) -> Iterator[JobHandle]:
        """Jobs that failed because their attempts were used up, newest first, page after page."""
        found = self._pages("/v1/dead-letters", {"limit": str(PAGE_ROWS)})
        return (JobHandle(self._calls, body) for body in found)

    def replay(self, job_id: str) -> JobHandle:
        """Runs a dead letter's work again, in a new job, and takes it off the list.

        Raises ApiError (409) when it is no dead letter any more: somebody else has replayed it.
        """
        return self._job(self._calls.send("POST", f"/v1/dead-letters/{quote(job_id, safe='')}/replay"))

    def models(self) -> list[Body]:
        return list(self._pages("/v1/models", {}))

    def model(self, name: str) -> Body:
        """A model's aliases, generation and number of versions."""
        body: Body = read_json(self._calls.send("GET", _model_path(name)))
        return body

    def versions(self, name: str) -> list[Body]:
        """The manifests of a model's versions."""
        return list(self._pages(f"{_model_path(name)}/versions", {}))

    def schema(self, name: str, version: int | None = None) -> Body:
        """The JSON Schema of one row, of the champion or of a version."""
        of_version = "" if version is None else f"/versions/{version}"
        body: Body = read_json(self._calls.send("GET", f"{_model_path(name)}{of_version}/schema"))
        return body

    def promote(self, name: str, version: int, alias: str = "champion", reason: str = "") -> Body:
        """Points an alias at a version and returns the model.

        Raises ApiError (412) when somebody else moved an alias meanwhile; look again and decide anew.
        """
        seen = self._calls.send("GET", _model_path(name))
        etag = seen.headers.get("ETag") or f'"{read_json(seen)["generation"]}"'
        path = f"{_model_path(name)}/aliases/{quote(alias, safe='')}"
        change = {"version": version, "reason": reason}
        body: Body = read_json(self._calls.send("PUT", path, body=change, headers={"If-Match": etag}))
        return body

    def rollback(self, name: str, reason: str = "") -> Body:
        """Makes the previous champion the champion again and returns the model."""
        body: Body = read_json(self._calls.send("POST", f"{_model_path(name)}/rollback", body={"reason": reason}))
        return body

    def _job(self, answer: httpx2.Response) -> JobHandle:
        return JobHandle(self._calls, read_json(answer))

    def _upload(self, table: TableFile, on_upload: Watcher | None) -> Body:
        digest = base64.b64encode(hashlib.file_digest(table.content, "sha256").digest()).decode()
        headers = {"Content-Type": table.media_type, "Content-Digest": f"sha-256=:{digest}:"}
        size_bytes = table.content.tell()
        content = table.content if on_upload is None else WatchedFile(table.content, size_bytes, on_upload)
        # Sent again when the connection broke: a file that came twice is swept away some day.
        answer = self._calls.send(
            "POST", "/v1/files", content=content, query={"name": table.name}, headers=headers, is_repeatable=True
        )
        stored: Body = read_json(answer)
        return stored

    def _push(self, name: str, files: dict[str, tuple[str, IO[bytes] | bytes, str]], metadata: Body) -> JobHandle:
        form = {"metadata": json.dumps(metadata)}
        path = f"{_model_path(name)}/versions"
        return self._job(self._calls.send("POST", path, files=files, form=form, is_submit=True))

    def _pages(self, path: str, query: dict[str, str]) -> Iterator[Body]:
        while True:
            page = read_json(self._calls.send("GET", path, query=query))
            yield from page["data"]
            if not page.get("next_cursor"):
                return
            query = query | {"cursor": page["next_cursor"]}


def _model_path(name: str) -> str:
    return f"/v1/models/{quote(name, safe='')}"


def _given(**fields: Any) -> Body:
    """Without what the caller left to the gateway's default."""
    return {name: value for name, value in fields.items() if value is not None}


def _is_for_a_file(error: ApiError) -> bool:
    findings = error.problem.get("errors") or []
    return error.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE or any(
        finding.get("code") == "too_many_rows" for finding in findings
    )


def _push_metadata(target: list[str] | None, holdout: Split | HoldoutRule | None, description: str | None) -> Body:
    if not isinstance(holdout, Split | HoldoutRule | None):
        raise TypeError(f"holdout is a {type(holdout).__name__}, expected what queuecast.holdout(X) returned")
    rule = holdout.rule if isinstance(holdout, Split) else holdout
    split = rule and {"method": rule.method, "fraction": rule.fraction, "columns": list(rule.columns)}
    metadata: Body = {"target": target, "holdout": split}
    return metadata if description is None else metadata | {"description": description}


def _refuse_pickle(path: Path, start: bytes) -> None:
    if path.suffix.lower() in PICKLE_SUFFIXES or start.startswith(PICKLE_STARTS):
        to = str(path.with_suffix(".skops"))
        raise ValueError(
            f"{path} is a pickle, which runs any code it likes when it is loaded; convert it: "
            f'python -c "import joblib, skops.io as sio; sio.dump(joblib.load({str(path)!r}), {to!r})"'
        )
