"""A handle for one accepted job: refresh, wait, get the result, cancel, retry.

Owns waiting: how long a request may wait, when to poll again, when to give up. Knows nothing of submitting.
"""

import math
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from html import escape
from http import HTTPStatus
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import httpx2

from queuecast.client.downloads import download, read_errors, write_errors
from queuecast.client.errors import ApiError, problem_line
from queuecast.client.events import job_events
from queuecast.client.ignored_columns import IgnoredColumnsWarning, ignored_columns_text
from queuecast.client.row_formats.table_files import ProgressCallback
from queuecast.client.transport import MAX_WAIT_S, TOO_MANY_WAITERS, Body, Transport, read_json
from queuecast.domain.job import FINAL_STATES, State


class JobFailed(Exception):  # noqa: N818 - names a fact, as the standard library's errors do
    """The job ended as failed, canceled or expired. `problem` says why, `body` is the job."""

    def __init__(self, body: Body) -> None:
        self.body = body
        self.problem: Body = body.get("error") or {"title": body["state"], "code": body["state"]}
        reason = problem_line(self.problem).removeprefix("The job failed").removeprefix(": ")
        text = reason if reason.lower().startswith(body["state"]) else f"{body['state']}: {reason}".removesuffix(": ")
        super().__init__(f"{body['id']} {text}")


class JobHandle:
    """One accepted job. `body` is the job as of the last response; `refresh` and `wait` update it."""

    def __init__(self, transport: Transport, body: Body) -> None:
        self._transport = transport
        self.body = body
        self._has_warned = False

    def __repr__(self) -> str:
        return f"<JobHandle {self.id} {self.state}>"

    def _repr_html_(self) -> str:
        model = self.body.get("model") or {}
        version = "" if model.get("version") is None else f" version {model['version']}"
        texts = (self.id, self.body.get("type"), f"{model.get('name') or ''}{version}", self.state)
        cells = "".join(f"<td>{escape(str(text or '-'))}</td>" for text in texts)
        return f"<table><tr>{cells}</tr></table>"

    @property
    def id(self) -> str:
        return str(self.body["id"])

    @property
    def state(self) -> str:
        return str(self.body["state"])

    @property
    def is_final(self) -> bool:
        return self.state in FINAL_STATES

    @property
    def timeline(self) -> list[Body]:
        """The job's history, oldest first; each entry has `event`, `at`, `attempt`, `worker` and `detail`."""
        return list(self.body.get("timeline") or [])

    @property
    def ignored_columns(self) -> list[str]:
        """The first columns of the rows that the model does not have, which were ignored."""
        return list((self.body.get("ignored_columns") or {}).get("names", []))

    def warn_of_ignored_columns(self, stacklevel: int = 3) -> Self:
        """Gives an IgnoredColumnsWarning once, if columns were ignored."""
        text = ignored_columns_text(self.body)
        if text is not None and not self._has_warned:
            self._has_warned = True
            warnings.warn(f"{self.id}: {text}", IgnoredColumnsWarning, stacklevel=stacklevel)
        return self

    @property
    def _path(self) -> str:
        return f"/v1/jobs/{quote(self.id, safe='')}"

    def refresh(self) -> Self:
        """Reads the job from the gateway."""
        self.body = read_json(self._transport.send("GET", self._path))
        return self

    def wait(self, timeout_s: float | None = None, on_change: Callable[["JobHandle"], object] | None = None) -> Self:
        """Waits until the job has ended, in whatever state. Keeps waiting while the gateway restarts.

        on_change: called with this handle at once and after every change, including progress.
        Raises TimeoutError after `timeout_s`; the job continues, and you may wait again.
        """
        deadline = math.inf if timeout_s is None else time.monotonic() + timeout_s
        if on_change is not None:
            on_change(self)
        while not self.is_final:
            left_s = max(0.0, deadline - time.monotonic())
            wait_s = int(min(MAX_WAIT_S, left_s))
            revision = self.body["revision"]
            polled_at = time.monotonic()
            # Polls for up to a minute while the gateway restarts; the job itself is safe in the queue.
            self._poll(wait_s, min(60.0, max(0.1, left_s)), for_any_change=on_change is not None)
            has_waited = 0 < wait_s <= time.monotonic() - polled_at
            if self.body["revision"] != revision:
                if on_change is not None:
                    on_change(self)
            elif not self.is_final and not has_waited:
                # A gateway with too many waiters answers at once; without a pause this would be a busy loop.
                time.sleep(min(1.0 if wait_s else 0.1, max(0.0, deadline - time.monotonic())))
            if not self.is_final and time.monotonic() >= deadline:
                raise TimeoutError(f"{self.id} is still {self.state} after {timeout_s:g} s")
        return self

    def events(self) -> Iterator[tuple[str, Body]]:
        """The job's changes as they happen, up to its end: pairs of `status`, `progress` or `completed` and the job.

        The first event is the job's present state. Reconnects after a broken connection or a restart of the gateway;
        changes in between arrive as one event. The job comes without its result. Raises ApiError (503,
        `too_many_waiters`) if too many requests wait on the gateway, and ApiError (410) if the job was deleted.
        """
        for name, body in job_events(self._transport, f"{self._path}/events"):
            self.body = body
            yield name, body

    def _require_success(self, timeout_s: float | None) -> None:
        """Waits for the end of the job. Raises JobFailed and TimeoutError."""
        self.wait(timeout_s)
        if self.state != State.SUCCEEDED:
            raise JobFailed(self.body)

    def _read_report(self, media_type: str) -> httpx2.Response:
        return self._transport.send("GET", f"{self._path}/report", headers={"Accept": media_type})

    def _poll(self, wait_s: int, retry_for_s: float, *, for_any_change: bool) -> None:
        headers = {"If-None-Match": f'W/"{self.body["revision"]}"'} if for_any_change and wait_s else None
        try:
            response = self._transport.send("GET", self._path, headers=headers, wait_s=wait_s, retry_for_s=retry_for_s)
        except ApiError as error:
            if error.status == HTTPStatus.NOT_MODIFIED:
                return
            if error.problem.get("code") != TOO_MANY_WAITERS:
                raise
            response = self._transport.send("GET", self._path, retry_for_s=retry_for_s)
        self.body = read_json(response)

    def result(self, timeout_s: float | None = None) -> Body:
        """Waits for the result and returns it.

        Raises JobFailed if the job ended without one, and TimeoutError after `timeout_s`.
        """
        self.wait(timeout_s)
        self.warn_of_ignored_columns()
        self._require_success(timeout_s)
        if self.body.get("result") is None and self.body["type"] == "batch":  # events and lists omit it
            self.refresh()
        elif self.body.get("result") is None:  # the job's body omits a large one
            accept = {"Accept": "application/json"}
            self.body["result"] = read_json(self._transport.send("GET", f"{self._path}/result", headers=accept))
        result: Body = self.body["result"]
        return result

    def download(
        self, to: str | Path, timeout_s: float | None = None, on_progress: ProgressCallback | None = None
    ) -> Path:
        """Waits for a batch and writes its result file to `to`, which appears only when it is complete and checked.

        A broken download is resumed, also by a second call. on_progress: called with the bytes written so far and the
        total. Raises JobFailed, TimeoutError, and ValueError for a job without a file or if the bytes that arrived
        are not those of the file.
        """
        self.result(timeout_s)
        return download(self._transport, self.body, Path(to), on_progress)

    def add_outcomes(self, outcomes: Sequence[Any]) -> Body:
        """Sends the true outcomes of a prediction's rows, in their order: labels, or numbers. Returns what was counted.

        They count in the live metrics of the model (`Client.outcomes`). Sending the same ones again does nothing.
        Raises ApiError: 409 for other outcomes than before, and for a job that is no prediction or has not succeeded;
        422 for outcomes that are none of the model's target or not one for each row; 410 once the job is gone.
        """
        values = outcomes.tolist() if hasattr(outcomes, "tolist") else list(outcomes)
        sent = {"outcomes": [each.item() if hasattr(each, "item") else each for each in values]}
        response = self._transport.send("POST", f"{self._path}/outcomes", body=sent, is_idempotent=True)
        counted: Body = read_json(response)
        return counted

    def report(self, timeout_s: float | None = None) -> Body:
        """Waits for a training or an evaluation and returns its report: how it compared versions.

        Raises JobFailed, TimeoutError, and ApiError: 409 for a job of another type, 410 if the version of a training
        was deleted, 404 if it was made before trainings had reports.
        """
        self._require_success(timeout_s)
        report: Body = read_json(self._read_report("application/json"))
        return report

    def report_html(self, timeout_s: float | None = None) -> str:
        """As `report`, as one HTML page without scripts that loads nothing."""
        self._require_success(timeout_s)
        return self._read_report("text/html").text

    def save_report(self, to: str | Path, timeout_s: float | None = None) -> Path:
        """Writes the report to `to`: the document if the name ends in `.json`, and the page otherwise. Returns `to`."""
        self._require_success(timeout_s)
        path = Path(to)
        is_document = path.suffix.lower() == ".json"
        content = self._read_report("application/json" if is_document else "text/html").content
        partial = path.with_name(f"{path.name}.{self.id}.part")
        try:
            partial.write_bytes(content)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
        return path

    def errors(self) -> Iterator[Body]:
        """The rows that a batch or a training has left out, in order; each has `row`, `column`, `code` and `detail`."""
        return read_errors(self._transport, self.id)

    def write_errors(self, to: str | Path) -> int:
        """Writes the rows that a batch or a training has left out, one JSON object per line. Returns their number."""
        return write_errors(self._transport, self.id, Path(to))

    def cancel(self) -> Self:
        """Cancels the job: at once if it is queued, soon if it is running (`canceling`).

        Safe to call twice. Raises ApiError (409) if the job has ended in another state.
        """
        self.body = read_json(self._transport.send("POST", f"{self._path}/cancel"))
        return self

    def retry(self) -> "JobHandle":
        """Submits the same work on the same version as a new job, whose `retry_of` is this job's id.

        Raises ApiError (409) if this job has not ended, or has a result.
        """
        return JobHandle(self._transport, read_json(self._transport.send("POST", f"{self._path}/retry")))
