"""One accepted job as its submitter sees it: look again, wait, take the result, cancel, retry.

Owns waiting: how long to park a request, when to ask again, when to give up. Knows nothing of submitting.
"""

import math
import time
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Self
from urllib.parse import quote

from queuecast.client.downloads import download, read_errors, write_errors
from queuecast.client.events import job_events
from queuecast.client.transport import MAX_WAIT_S, TOO_MANY_WAITERS, ApiError, Body, Transport, problem_line, read_json
from queuecast.client.uploads import Watcher
from queuecast.domain.job import FINAL_STATES, State

OUTAGE_S = 60.0  # how long a wait outlives a gateway that restarts; the job itself is safe in the queue


class JobFailed(Exception):  # noqa: N818 - names a fact: the job is over, and has no result
    """A job that ended as failed, canceled or expired. `problem` says why, `body` is the job."""

    def __init__(self, body: Body) -> None:
        self.body = body
        self.problem: Body = body.get("error") or {"title": body["state"], "code": body["state"]}
        reason = problem_line(self.problem).removeprefix("The job failed").removeprefix(": ")
        told = reason if reason.lower().startswith(body["state"]) else f"{body['state']}: {reason}".removesuffix(": ")
        super().__init__(f"{body['id']} {told}")


class JobHandle:
    """One accepted job. `body` is the job as last seen; `refresh` and `wait` bring it up to date."""

    def __init__(self, calls: Transport, body: Body) -> None:
        self._calls = calls
        self.body = body

    def __repr__(self) -> str:
        return f"<JobHandle {self.id} {self.state}>"

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
        """What happened to the job so far, oldest first: `event`, `at`, `attempt`, `worker` and `detail` each."""
        return list(self.body.get("timeline") or [])

    @property
    def _path(self) -> str:
        return f"/v1/jobs/{quote(self.id, safe='')}"

    def refresh(self) -> Self:
        self.body = read_json(self._calls.send("GET", self._path))
        return self

    def wait(self, timeout_s: float | None = None, on_change: Callable[["JobHandle"], object] | None = None) -> Self:
        """Waits for a final state, whichever it is, and outlives a gateway that restarts meanwhile.

        on_change: called with this handle at once and after every change seen, progress included.
        Raises TimeoutError when `timeout_s` is up; the job goes on, and waiting again is fine.
        """
        deadline = math.inf if timeout_s is None else time.monotonic() + timeout_s
        if on_change is not None:
            on_change(self)
        while not self.is_final:
            left_s = max(0.0, deadline - time.monotonic())
            wait_s = int(min(MAX_WAIT_S, left_s))
            seen = self.body["revision"]
            asked_at = time.monotonic()
            self._look(wait_s, min(OUTAGE_S, max(0.1, left_s)), for_any_change=on_change is not None)
            was_parked = 0 < wait_s <= time.monotonic() - asked_at
            if self.body["revision"] != seen:
                if on_change is not None:
                    on_change(self)
            elif not self.is_final and not was_parked:
                # A gateway on which too many wait already answers at once: do not ask again at once.
                time.sleep(min(1.0 if wait_s else 0.1, max(0.0, deadline - time.monotonic())))
            if not self.is_final and time.monotonic() >= deadline:
                raise TimeoutError(f"{self.id} is still {self.state} after {timeout_s:g} s")
        return self

    def events(self) -> Iterator[tuple[str, Body]]:
        """What becomes of the job, as it happens: `status`, `progress` or `completed` with the job each, to its end.

        Begins with the job as it is. Outlives a broken connection and a gateway that restarts; what came meanwhile is
        told in one event. The body is without the result. Raises ApiError (503, `too_many_waiters`) when too many
        requests wait on the gateway, and ApiError (410) when the job was deleted.
        """
        for name, body in job_events(self._calls, f"{self._path}/events"):
            self.body = body
            yield name, body

    def _look(self, wait_s: int, patience_s: float, *, for_any_change: bool) -> None:
        headers = {"If-None-Match": f'W/"{self.body["revision"]}"'} if for_any_change and wait_s else None
        try:
            answer = self._calls.send("GET", self._path, headers=headers, wait_s=wait_s, patience_s=patience_s)
        except ApiError as error:
            if error.status == HTTPStatus.NOT_MODIFIED:
                return
            if error.problem.get("code") != TOO_MANY_WAITERS:
                raise
            answer = self._calls.send("GET", self._path, patience_s=patience_s)
        self.body = read_json(answer)

    def result(self, timeout_s: float | None = None) -> Body:
        """Waits for the result and returns it.

        Raises JobFailed when there will be none, TimeoutError when `timeout_s` is up.
        """
        self.wait(timeout_s)
        if self.state != State.SUCCEEDED:
            raise JobFailed(self.body)
        if self.body.get("result") is None and self.body["type"] == "batch":  # events and lists leave it out
            self.refresh()
        elif self.body.get("result") is None:  # a large one is not repeated in the job's body
            accept = {"Accept": "application/json"}
            self.body["result"] = read_json(self._calls.send("GET", f"{self._path}/result", headers=accept))
        result: Body = self.body["result"]
        return result

    def download(self, to: str | Path, timeout_s: float | None = None, on_progress: Watcher | None = None) -> Path:
        """Waits for a batch and writes its result file to `to`, which is there only when it is whole and checked.

        A broken connection is taken up where it broke, by a second call too. on_progress: called with the bytes
        written so far and their number in all. Raises JobFailed, TimeoutError, and ValueError for a job without a
        file or one that arrived other than it is.
        """
        self.result(timeout_s)
        return download(self._calls, self.body, Path(to), on_progress)

    def errors(self) -> Iterator[Body]:
        """The rows that a batch has left out, in their order: `row`, `column`, `code` and `detail` each."""
        return read_errors(self._calls, self.id)

    def write_errors(self, to: str | Path) -> int:
        """Writes the rows that a batch has left out, one JSON object a line, and returns their number."""
        return write_errors(self._calls, self.id, Path(to))

    def cancel(self) -> Self:
        """Asks the job to stop: a queued one is canceled at once, a running one soon (`canceling`).

        Safe to call twice. Raises ApiError (409) when the job has ended otherwise.
        """
        self.body = read_json(self._calls.send("POST", f"{self._path}/cancel"))
        return self

    def retry(self) -> "JobHandle":
        """A new job with the same work on the same version; its `retry_of` names this one.

        Raises ApiError (409) when this one has not ended, or has its result.
        """
        return JobHandle(self._calls, read_json(self._calls.send("POST", f"{self._path}/retry")))
