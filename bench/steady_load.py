"""One-row predictions at a steady pace during another load; a latency counts from the moment when the job was due."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from typing import Any

from bench.protocols import MODEL

CLIENTS = 64
SHARES = {"p50": 0.5, "p99": 0.99, "most": 1.0}


class OneRowJobs:
    def __init__(self, port: int, row: dict[str, Any], jobs_per_s: float) -> None:
        self._port = port
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
        return {
            "jobs": len(self._found),
            "jobs_not_answered": len(self._found) - len(latencies_ms),
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
        answer.read()
        self._found.append((time.monotonic() - due, answer.status))
        connection.close()
