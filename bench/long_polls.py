"""Figure: 50 jobs/s without and with 400 parked long-polls, in turn.

The long-polls wait for imports that do not run, because the trainer is stopped. The load cancels them at its end.
"""

import json
import math
from http.client import HTTPConnection

from bench.one_row_jobs import OPEN_JOBS_PER_S
from bench.run import Run
from bench.stacks import Stack

PARKED = 400
PARKED_OPEN_S = 10.0
BOUNDARY = "bench-boundary"


def parked(run: Run) -> None:
    stack = run.stacks["queuecast"]
    alone = run.measure(stack, "open", "0 parked", seconds=PARKED_OPEN_S, jobs_per_s=OPEN_JOBS_PER_S, clients=64)
    run.note("parked.none.p99_ms", alone.latency_ms(0.99))
    jobs = waiting_jobs(stack, PARKED)
    measured = run.measure(
        stack,
        "open",
        f"{PARKED} parked",
        seconds=PARKED_OPEN_S,
        jobs_per_s=OPEN_JOBS_PER_S,
        clients=64,
        parked_jobs=tuple(jobs),
    )
    run.note("parked.400.count", measured.parked)
    run.note("parked.400.p99_ms", measured.latency_ms(0.99) if measured.parked == PARKED else math.nan)
    if measured.parked < PARKED:
        codes = ", ".join(measured.refusals)
        run.remark(
            f"only {measured.parked} of {PARKED} long-polls could be parked; the others were answered 503 {codes}"
        )


def waiting_jobs(stack: Stack, count: int) -> list[str]:
    """Ids of `count` imports that no worker runs."""
    model = stack.known.estimator_bytes
    parts = [
        ("metadata", "", b"{}"),
        ("example", '; filename="rows.csv"\r\nContent-Type: text/csv', stack.known.csv_head()),
        ("model", '; filename="model.skops"\r\nContent-Type: application/octet-stream', model),
    ]
    body = b"".join(
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode() + content + b"\r\n"
        for name, more, content in parts
    )
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    connection = HTTPConnection("127.0.0.1", stack.port, timeout=30)
    ids = []
    for _ in range(count):
        connection.request("POST", "/v1/models/parked/versions", body + f"--{BOUNDARY}--\r\n".encode(), headers)
        answer = connection.getresponse()
        said = json.loads(answer.read())
        if answer.status != 202:
            raise OSError(f"an import was answered {answer.status}: {said}")
        ids.append(str(said["id"]))
    connection.close()
    return ids
