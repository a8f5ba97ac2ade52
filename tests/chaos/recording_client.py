"""A client of the gateway that records its requests and answers in the history, with a time limit.

It repeats a submit under its Idempotency-Key until it has a definite answer: after a refusal (503) there is no job,
but after a broken connection or a timeout there may be one.
"""

import time
from dataclasses import dataclass
from typing import Any

import httpx2

from tests.chaos.history import FAIL, OK, UNKNOWN, Body, History, Submit
from tests.chaos.plan import PATIENCE_S, REQUEST_TIMEOUT_S
from tests.chaos.sample_models import Push

REFUSED = (429, 503)
PAUSE_S = 0.3


@dataclass(frozen=True, slots=True)
class Request:
    """The HTTP request of a submit, as bytes or JSON. Every repetition sends the same."""

    path: str
    body: Body | None = None
    push: Push | None = None
    wait_s: int = 0


class RecordingClient:
    """The connections of one thread."""

    def __init__(self, url: str, history: History) -> None:
        self.history = history
        self._http = httpx2.Client(base_url=url, timeout=REQUEST_TIMEOUT_S, trust_env=False)

    def close(self) -> None:
        self._http.close()

    def submit(self, submit: Submit, request: Request, patience_s: float = PATIENCE_S) -> str | None:
        """The id of the accepted job; None if the submit was refused, or if the outcome is unknown."""
        self.history.record_submit(submit)
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline:
            asked_at = time.time()
            try:
                answer = self._send(submit.key, request)
            except httpx2.HTTPError as error:
                self.history.record_answer(submit, UNKNOWN, detail=type(error).__name__)
            else:
                body = _json(answer)
                if answer.status_code in (200, 202):
                    is_replay = answer.headers.get("Idempotency-Replayed") == "true"
                    self.history.record_answer(submit, OK, answer.status_code, body, is_replay=is_replay)
                    self.history.record_sighting(body, asked_at)
                    return str(body["id"])
                # A gateway that fails may already have accepted the job; only a refusal is definite.
                outcome = UNKNOWN if answer.status_code in (500, 502, 504) else FAIL
                self.history.record_answer(submit, outcome, answer.status_code, detail=str(body.get("detail", "")))
                if outcome == FAIL and answer.status_code not in REFUSED:
                    return None
            time.sleep(PAUSE_S)
        return None

    def read_job(self, job_id: str) -> Body | None:
        """Reads a job and records the sighting; None if there is no answer or no such job."""
        asked_at = time.time()
        status, body = self.get(f"/v1/jobs/{job_id}")
        if status != 200:
            return None
        self.history.record_sighting(body, asked_at)
        return body

    def cancel(self, job_id: str, patience_s: float = PATIENCE_S) -> None:
        """Repeats the cancel until the gateway answers, and records its last answer."""
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline:
            status, body = self.post(f"/v1/jobs/{job_id}/cancel")
            if status in (200, 202, 409):
                return self.history.record_cancel(job_id, status, body)
            time.sleep(PAUSE_S)
        return None

    def reuse_key(self, submit: Submit, request: Request) -> None:
        """Sends a different body under a submit's key, once, and records the answer."""
        body = {**(request.body or {}), "metadata": {"chaos": f"{submit.key}-reused"}}
        status, _ = self.post(request.path, json=body, headers={"Idempotency-Key": submit.key})
        self.history.record_key_reuse(submit.key, status)

    def get(self, path: str, **query: Any) -> tuple[int, Body]:
        """Status and JSON body; status 0 if there is no answer."""
        return self._call("GET", path, params=query)

    def post(self, path: str, **options: Any) -> tuple[int, Body]:
        return self._call("POST", path, **options)

    def pages(self, path: str) -> list[Body]:
        """Every entry of a list. Raises ConnectionError if a page cannot be read."""
        entries: list[Body] = []
        cursor: str | None = None
        while True:
            query = {"limit": "200"} | ({"cursor": cursor} if cursor else {})
            status, page = self.get(path, **query)
            if status != 200:
                raise ConnectionError(f"GET {path} answered {status or 'nothing'}")
            entries += page["data"]
            cursor = page.get("next_cursor")
            if not cursor:
                return entries

    def _send(self, key: str, request: Request) -> httpx2.Response:
        headers = {"Idempotency-Key": key}
        if request.wait_s:
            headers["Prefer"] = f"wait={request.wait_s}"
        if request.push is None:
            return self._http.post(request.path, json=request.body, headers=headers)
        headers["Content-Type"] = request.push.media_type
        return self._http.post(request.path, content=request.push.content, headers=headers)

    def _call(self, method: str, path: str, **options: Any) -> tuple[int, Body]:
        try:
            answer = self._http.request(method, path, **options)
        except httpx2.HTTPError:
            return 0, {}
        return answer.status_code, _json(answer)


def _json(answer: httpx2.Response) -> Body:
    try:
        body = answer.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
