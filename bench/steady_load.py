"""One-row predictions at a steady pace during another load; a latency counts from the moment when the job was due."""

import json
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from typing import Any

from bench.known_answers import is_same
from bench.protocols import MODEL

CLIENTS = 64
SHARES = {"p50": 0.5, "p99": 0.99, "most": 1.0}


class OneRowJobs:
    """expected: the probabilities of the row by version; each answer is compared with those of its job's version."""

    def __init__(
        self,
        port: int,
        row: dict[str, Any],
        jobs_per_s: float,
        expected: Mapping[int, list[list[float]]] | None = None,
    ) -> None:
        self._port = port
        self._expected = expected
        self._wrong: list[Any] = []
        self._versions: set[int] = set()
        self._body = json.dumps({"inputs": [row], "method": "predict_proba"})
        self._jobs_per_s = jobs_per_s
        self._ending = threading.Event()
        self._found: list[tuple[float, int]] = []
        self._sender = threading.Thread(target=self._send_all, name="one-row jobs")

    def start(self) -> None:
        self._sender.start()

    def stop(self) -> dict[str, Any]:
        """Their latencies, and how many were not answered in time."""
        self._ending.set()
        self._sender.join()
        latencies_ms = sorted(1000 * latency_s for latency_s, status in self._found if status == 200)
        if not latencies_ms:
            return {"jobs": len(self._found), "jobs_not_answered": len(self._found)}
        at = {name: latencies_ms[int(share * (len(latencies_ms) - 1))] for name, share in SHARES.items()}
        compared = {"versions": len(self._versions), "wrong_answers": len(self._wrong)} if self._expected else {}
        return {
            "jobs": len(self._found),
            "jobs_not_answered": len(self._found) - len(latencies_ms),
            **compared,
            **{f"{name}_ms": round(ms, 1) for name, ms in at.items()},
        }

    def _send_all(self) -> None:
        began, sent = time.monotonic(), 0
        with ThreadPoolExecutor(CLIENTS) as clients:
            while not self._ending.is_set():
                due = began + sent / self._jobs_per_s
                if self._ending.wait(max(due - time.monotonic(), 0)):
                    break
                clients.submit(self._send, due)
                sent += 1

    def _send(self, due: float) -> None:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=60)
        headers = {"Content-Type": "application/json", "Prefer": "wait=30"}
        connection.request("POST", f"/v1/models/{MODEL}/predictions", self._body, headers)
        answer = connection.getresponse()
        body = answer.read()
        self._found.append((time.monotonic() - due, answer.status))
        connection.close()
        if self._expected is not None and answer.status == 200:
            self._compare(json.loads(body), self._expected)

    def _compare(self, job: dict[str, Any], expected: Mapping[int, list[list[float]]]) -> None:
        version = job["model"]["version"]
        self._versions.add(version)
        if job["state"] != "succeeded" or not is_same(job["result"]["outputs"], expected[version]):
            self._wrong.append(job)
