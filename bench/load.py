"""The load generator, a process of its own: reads an order on stdin, runs it, and writes a report on stdout.

Orders: `closed` (clients that submit, wait, and submit again), `burst` (everything is submitted, then everything is
fetched) and `open` (a job at each moment of a schedule, without waiting for earlier ones).
"""

import json
import random
import sys
import time
from collections import Counter, deque
from collections.abc import Generator
from dataclasses import asdict, dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from bench.protocols import DIALECTS, Dialect, between, http
from bench.sockets import Answer, Drive, Script

clock = time.perf_counter
START_DELAY_S = 0.05  # the first job of an open loop must not find its client still connecting
PARKING_S = 2.0  # nor those that are to be parked still on their way
REFUSED_S = 0.05  # after which a wait that the server had no room for is asked for again
PREPARED_ROWS = 100_000  # of all the different requests together


@dataclass(frozen=True, slots=True)
class Order:
    """The server and the load for it. A job has rows_per_job rows, taken in turn from the file of rows."""

    shape: str
    dialect: str
    port: int
    rows_file: str
    clients: int = 32
    jobs: int = 0
    seconds: float = 0.0
    jobs_per_s: float = 0.0
    rows_per_job: int = 1
    polling_s: float | None = None
    first_row: int = 0
    parked_jobs: tuple[str, ...] = ()


@dataclass(slots=True)
class Seen:
    """One job. started_at: when it was due. end: its probabilities, or the reason why there are none."""

    first_row: int
    started_at: float
    ended_at: float = 0.0
    end: Any = None


@dataclass(slots=True)
class Report:
    """seconds: from the first submit to the last answer. cpu_s: of this process while it drove. refused: fetches.

    refusals: of requests that were to be parked, by the code of the error.
    """

    seen: list[Seen]
    seconds: float
    cpu_s: float
    requests: int
    parked: int = 0
    refused: int = 0
    refusals: dict[str, int] = field(default_factory=dict)


class Load:
    def __init__(self, order: Order) -> None:
        self._order = order
        self._dialect: Dialect = DIALECTS[order.dialect]
        self._polling_s = self._dialect.polling_s if order.polling_s is None else order.polling_s
        self._rows: list[dict[str, Any]] = json.loads(Path(order.rows_file).read_text())
        self._places = max(1, min(len(self._rows), PREPARED_ROWS // max(1, order.rows_per_job)))
        self._seen: list[Seen] = []
        self._requests = 0
        self._parked = 0
        self._refused = 0
        self._refusals: Counter[str] = Counter()
        self._measured = 0
        self._prepared: dict[int, bytes] = {}

    def run(self) -> Report:
        scripts = {"closed": self._closed, "burst": self._burst, "open": self._open}[self._order.shape]()
        self._measured = len(scripts)
        parked = [self._park(job_id) for job_id in self._order.parked_jobs]
        started_cpu_s = time.process_time()
        Drive(("127.0.0.1", self._order.port), [*parked, *scripts]).run()
        cpu_s = time.process_time() - started_cpu_s
        ended = [seen.ended_at for seen in self._seen]
        seconds = max(ended) - min(seen.started_at for seen in self._seen)
        for seen in self._seen:
            if isinstance(seen.end, bytes):
                seen.end = self._dialect.probabilities(seen.end)
        return Report(self._seen, seconds, cpu_s, self._requests, self._parked, self._refused, dict(self._refusals))

    def _prepare(self, *, is_waiting: bool) -> None:
        """Makes the requests before the clock runs."""
        for first in range(self._places):
            self._prepared[first] = self._dialect.submit(self._rows_of(first), is_waiting=is_waiting)

    def _first_row(self, number: int) -> int:
        return (self._order.first_row + number) % self._places

    def _rows_of(self, first: int) -> list[dict[str, Any]]:
        return [self._rows[(first + offset) % len(self._rows)] for offset in range(self._order.rows_per_job)]

    def _closed(self) -> list[Script]:
        self._prepare(is_waiting=True)
        numbers, until = count(), clock() + self._order.seconds

        def client() -> Script:
            while clock() < until:
                yield from self._job(next(numbers), clock())

        return [self._ending(client()) for _ in range(self._order.clients)]

    def _open(self) -> list[Script]:
        self._prepare(is_waiting=True)
        chance = random.Random(0)
        moments, at = [], clock() + (PARKING_S if self._order.parked_jobs else START_DELAY_S)
        until = at + self._order.seconds
        while at < until:
            moments.append(at)
            at += chance.expovariate(self._order.jobs_per_s)
        schedule = iter(enumerate(moments))

        def client() -> Script:
            for number, moment in schedule:
                yield moment
                yield from self._job(number, moment)

        return [self._ending(client()) for _ in range(self._order.clients)]

    def _burst(self) -> list[Script]:
        self._prepare(is_waiting=False)
        numbers = iter(range(self._order.jobs))
        accepted: deque[tuple[Seen, str]] = deque()

        def client() -> Script:
            for number in numbers:
                seen = Seen(self._first_row(number), clock())
                self._seen.append(seen)
                status, body = yield self._prepared[seen.first_row]
                self._requests += 1
                if status == 202:
                    accepted.append((seen, self._dialect.job_id(body)))
                else:
                    seen.ended_at, seen.end = clock(), f"{status} {body[:200]!r}"
            while accepted:
                yield from self._fetched(*accepted.popleft())

        return [self._ending(client()) for _ in range(self._order.clients)]

    def _job(self, number: int, started_at: float) -> Script:
        seen = Seen(self._first_row(number), started_at)
        self._seen.append(seen)
        status, body = yield self._prepared[seen.first_row]
        self._requests += 1
        if self._dialect.is_answer(status, body):
            seen.ended_at, seen.end = clock(), body
        elif status == 202:
            yield from self._fetched(seen, self._dialect.job_id(body))
        else:
            seen.ended_at, seen.end = clock(), f"{status} {body[:200]!r}"

    def _fetched(self, seen: Seen, job_id: str) -> Script:
        fetch = self._dialect.fetch(job_id)
        while True:
            status, body = yield fetch
            self._requests += 1
            if self._dialect.is_answer(status, body):
                seen.ended_at, seen.end = clock(), body
                return
            if status == 503:
                self._refused += 1
                yield clock() + REFUSED_S
            elif status not in (200, 202):
                seen.ended_at, seen.end = clock(), f"{status} {body[:200]!r}"
                return
            elif self._polling_s:
                yield clock() + self._polling_s

    def _park(self, job_id: str) -> Script:
        """Waits for the end of a job that does not come, until the measured clients are done; then cancels it."""
        fetch = self._dialect.fetch(job_id)
        self._parked += 1
        while self._measured:
            status, body = yield fetch
            if status == 503:
                self._parked -= 1
                self._refusals[between(body, b'"code":"')] += 1
                return
            if b'"finished_at":null' not in body:
                return

    def _ending(self, script: Script) -> Generator[bytes | float, Answer, None]:
        """Runs a measured script. The last one to end cancels the jobs that parked requests wait for."""
        yield from script
        self._measured -= 1
        if not self._measured:
            for job_id in dict.fromkeys(self._order.parked_jobs):
                yield http("POST", f"/v1/jobs/{job_id}/cancel")


def main() -> None:
    given = json.load(sys.stdin)
    order = Order(**given | {"parked_jobs": tuple(given["parked_jobs"])})
    json.dump(asdict(Load(order).run()), sys.stdout)


if __name__ == "__main__":
    main()
