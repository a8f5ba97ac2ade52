"""A file of many rows as a client handles it: uploaded, predicted as a batch, its result fetched and compared."""

import json
import time
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from bench.known_answers import RELATIVE_TOLERANCE, Known
from bench.protocols import MODEL

ANSWER_WAIT_S = 600.0


class NoBatchesError(Exception):
    """This gateway does not take batches."""


@dataclass(frozen=True, slots=True)
class Batched:
    """Seconds of each part. run_s: from the submit until the job has ended."""

    upload_s: float
    run_s: float
    fetch_s: float


class BatchClient:
    """One connection to the gateway."""

    def __init__(self, port: int) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=ANSWER_WAIT_S)

    def close(self) -> None:
        self._connection.close()

    def upload(self, path: Path) -> str:
        headers = {"Content-Type": "text/csv", "Content-Length": str(path.stat().st_size)}
        with path.open("rb") as file:
            self._connection.request("POST", f"/v1/files?name={path.name}", file, headers)
        return str(self._said(201)["id"])

    def submit(self, file_id: str) -> str:
        """The id of the job. Raises NoBatchesError."""
        body = json.dumps({"file_id": file_id, "method": "predict_proba", "output_format": "csv"})
        path = f"/v1/models/{MODEL}/batches"
        self._connection.request("POST", path, body, {"Content-Type": "application/json"})
        return str(self._said(202)["id"])

    def wait(self, job_id: str) -> dict[str, Any]:
        """The job when it has ended."""
        deadline = time.monotonic() + ANSWER_WAIT_S
        while time.monotonic() < deadline:
            job = self.read(job_id, wait_s=30)
            if job["finished_at"] is not None:
                return job
        raise TimeoutError(f"batch {job_id} did not end within {ANSWER_WAIT_S:g} s")

    def read(self, job_id: str, wait_s: int = 0) -> dict[str, Any]:
        self._connection.request("GET", f"/v1/jobs/{job_id}", headers={"Prefer": f"wait={wait_s}"} if wait_s else {})
        return self._said(200)

    def fetch(self, job_id: str, path: Path) -> None:
        self._connection.request("GET", f"/v1/jobs/{job_id}/result", headers={"Accept": "text/csv"})
        answer = self._connection.getresponse()
        if answer.status != 200:
            raise OSError(f"the result was answered {answer.status}: {answer.read()[:300]!r}")
        with path.open("wb") as file:
            while chunk := answer.read(1 << 20):
                file.write(chunk)

    def cancel(self, job_id: str) -> None:
        self._connection.request("POST", f"/v1/jobs/{job_id}/cancel", headers={"Content-Length": "0"})
        self._connection.getresponse().read()

    def _said(self, expected: int) -> dict[str, Any]:
        answer = self._connection.getresponse()
        body = answer.read()
        if answer.status in (404, 405) and expected == 202:
            raise NoBatchesError(body.decode(errors="replace")[:300])
        if answer.status != expected:
            raise OSError(f"answered {answer.status} instead of {expected}: {body[:300]!r}")
        said: dict[str, Any] = json.loads(body)
        return said


def run_batch(port: int, source: Path, result: Path) -> Batched:
    """Raises NoBatchesError, or OSError when the job did not succeed."""
    client = BatchClient(port)
    try:
        started = time.perf_counter()
        file_id = client.upload(source)
        uploaded = time.perf_counter()
        job = client.wait(client.submit(file_id))
        ended = time.perf_counter()
        if job["state"] != "succeeded":
            raise OSError(f"the batch ended as {job['state']}: {job.get('error')}")
        client.fetch(job["id"], result)
        return Batched(uploaded - started, ended - uploaded, time.perf_counter() - ended)
    finally:
        client.close()


def write_rows(known: Known, rows: int, path: Path) -> None:
    """The known rows over and over as CSV, `rows` in all."""
    write_repeated(known.csv_text, rows, path)


def write_repeated(csv_text: str, rows: int, path: Path) -> None:
    """A file with the header and `rows` rows, those of `csv_text` over and over."""
    header, *lines = csv_text.splitlines(keepends=True)
    whole, rest = divmod(rows, len(lines))
    block = "".join(lines)
    with path.open("w") as file:
        file.write(header)
        for _ in range(whole):
            file.write(block)
        file.writelines(lines[:rest])


def wrong_rows(known: Known, rows: int, result: Path) -> int:
    """Number of rows of a result that are missing, out of order, or different from the estimator's answer."""
    import numpy as np  # noqa: PLC0415 - most of the benchmark needs neither
    import pandas as pd  # noqa: PLC0415

    table = pd.read_csv(result)
    found = table.to_numpy(dtype="float64")[:rows]
    expected = np.resize(np.array(known.expected), (rows, len(known.expected[0])))[: len(found)]
    if found.shape[1] != expected.shape[1] + 1:
        return rows
    is_right = np.isclose(found[:, 1:], expected, rtol=RELATIVE_TOLERANCE, atol=0.0).all(axis=1)
    is_right &= found[:, 0] == np.arange(1, len(found) + 1)
    return max(rows, len(table)) - int(is_right.sum())
