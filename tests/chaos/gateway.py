"""A client of the gateway that writes down what it asked and what it was told, and that gives up in time.

A submit is repeated under its Idempotency-Key until the answer is known: a refusal (503) accepted nothing, and a
broken connection or a timeout may have accepted it.
"""

import time
from dataclasses import dataclass
from typing import Any

import httpx2

from tests.chaos.history import FAIL, OK, UNKNOWN, Body, History, Order
from tests.chaos.plan import PATIENCE_S, REQUEST_TIMEOUT_S
from tests.chaos.sample_models import Push

REFUSED = (429, 503)
PAUSE_S = 0.3


@dataclass(frozen=True, slots=True)
class Request:
    """A submit as bytes or JSON, the same for every repetition."""

    path: str
    body: Body | None = None
    push: Push | None = None
    wait_s: int = 0


class Gateway:
    """One thread's connections."""

    def __init__(self, url: str, history: History) -> None:
        self.history = history
        self._http = httpx2.Client(base_url=url, timeout=REQUEST_TIMEOUT_S, trust_env=False)

    def close(self) -> None:
        self._http.close()

    def submit(self, order: Order, request: Request, patience_s: float = PATIENCE_S) -> str | None:
        """The id of the job that the order was accepted as; None when it was refused or nobody knows."""
        self.history.invoke(order)
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline:
            asked_at = time.time()
            try:
                answer = self._send(order.key, request)
            except httpx2.HTTPError as error:
                self.history.answer(order, UNKNOWN, detail=type(error).__name__)
            else:
                body = _json(answer)
                if answer.status_code in (200, 202):
                    is_replay = answer.headers.get("Idempotency-Replayed") == "true"
                    self.history.answer(order, OK, answer.status_code, body, is_replay=is_replay)
                    self.history.see(body, asked_at)
                    return str(body["id"])
                # A gateway that breaks may have accepted before it broke; only a plain refusal is sure.
                outcome = UNKNOWN if answer.status_code in (500, 502, 504) else FAIL
                self.history.answer(order, outcome, answer.status_code, detail=str(body.get("detail", "")))
                if outcome == FAIL and answer.status_code not in REFUSED:
                    return None
            time.sleep(PAUSE_S)
        return None

    def see(self, job_id: str) -> Body | None:
        """Reads a job and notes what was seen; None when no answer came or there is no such job."""
        asked_at = time.time()
        status, body = self.get(f"/v1/jobs/{job_id}")
        if status != 200:
            return None
        self.history.see(body, asked_at)
        return body

    def cancel(self, job_id: str, patience_s: float = PATIENCE_S) -> None:
        """Asks until the gateway has answered; what it said last counts."""
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline:
            status, body = self.post(f"/v1/jobs/{job_id}/cancel")
            if status in (200, 202, 409):
                return self.history.canceled(job_id, status, body)
            time.sleep(PAUSE_S)
        return None

    def reuse_key(self, order: Order, request: Request) -> None:
        """Sends another body under an order's key, once, and notes the answer."""
        body = {**(request.body or {}), "metadata": {"chaos": f"{order.key}-reused"}}
        status, _ = self.post(request.path, json=body, headers={"Idempotency-Key": order.key})
        self.history.conflicted(order.key, status)

    def get(self, path: str, **query: Any) -> tuple[int, Body]:
        """Status and JSON body; status 0 when no answer came."""
        return self._call("GET", path, params=query)

    def post(self, path: str, **options: Any) -> tuple[int, Body]:
        return self._call("POST", path, **options)

    def pages(self, path: str) -> list[Body]:
        """Every entry of a list. Raises ConnectionError when a page cannot be had."""
        found: list[Body] = []
        cursor: str | None = None
        while True:
            query = {"limit": "200"} | ({"cursor": cursor} if cursor else {})
            status, page = self.get(path, **query)
            if status != 200:
                raise ConnectionError(f"GET {path} answered {status or 'nothing'}")
            found += page["data"]
            cursor = page.get("next_cursor")
            if not cursor:
                return found

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
