"""A worker on in-memory stores. A test scripts its runs and moves its clock."""

import itertools
import json
import math
import threading
from collections.abc import Callable
from typing import Any

from queuecast.adapters.memory.doorbell import MemoryDoorbell
from queuecast.adapters.memory.jobs import MemoryJobs
from queuecast.adapters.memory.lanes import MemoryLanes
from queuecast.domain.errors import UnavailableError
from queuecast.domain.job import Job, JobType, ModelRef, State
from queuecast.domain.work import Method, PredictionWork, Work
from queuecast.ports.doorbell import Doorbell
from queuecast.ports.jobs import Accepted, IdempotencyKey
from queuecast.ports.lanes import Reservation
from worker.engine.consumer import LaneConsumer
from worker.engine.contracts import ModelCall, Report, Result, RunLimits, SharedRunner
from worker.engine.recovery import JobRecovery, RecoveryLimits

NOW = 1_000.0
LEASE_S = 30.0
RETENTION_S = 60.0
MAX_RESULT_BYTES = 200
LANE = "prediction/model/3/predict"
WORK = PredictionWork(Method.PREDICT, 1)
ROWS = b"[[1.0]]"

Run = Callable[[Job, Work, bytes, Report], Result]


class Time:
    """The clock of the engine: a sleep returns at once and moves the clock."""

    def __init__(self) -> None:
        self.now = 100.0
        self.on_pause: Callable[[], None] = lambda: None

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.on_pause()


class Beats:
    """The clock of `worker.engine.leases`: its thread beats at the first hold, and then whenever a test asks for it."""

    def __init__(self, time: Time) -> None:
        self._time = time
        self._asleep = threading.Semaphore(0)
        self._go = threading.Semaphore(0)
        self._of_other_tests = set(threading.enumerate())

    def monotonic(self) -> float:
        return self._time.now

    def sleep(self, _seconds: float) -> None:
        if threading.current_thread() in self._of_other_tests:
            threading.Event().wait()  # a thread of an earlier test
        self._asleep.release()
        self._go.acquire()  # blocks once the test is over

    def settle(self) -> None:
        """Waits until the current beat is over."""
        assert self._asleep.acquire(timeout=30), "the leases' thread did not beat"
        self._asleep.release()

    def once(self) -> None:
        self.settle()
        self._asleep.acquire()
        self._go.release()
        self.settle()


class FickleJobs(MemoryJobs):
    """A store with outages, lost replies, and writes by other processes between a worker's read and its write."""

    def __init__(self) -> None:
        super().__init__()
        self.is_away = False
        self.lost_replies = 0
        """How many of the next writes succeed but raise UnavailableError."""
        self.on_lost_reply: Callable[[], None] = lambda: None
        self.writes: list[Callable[[], None]] = []
        """Writes by other processes, one after each of the next reads."""

    def require_there(self) -> None:
        if self.is_away:
            raise UnavailableError("Redis does not answer")

    def create(
        self,
        job: Job,
        work: Work,
        rows: bytes = b"",
        repeat: IdempotencyKey | None = None,
        replayed_dead_letter: str | None = None,
        *,
        checks_alias: bool = False,
    ) -> Accepted:
        self.require_there()
        return super().create(job, work, rows, repeat, replayed_dead_letter, checks_alias=checks_alias)

    def read(self, job_id: str) -> Job:
        self.require_there()
        seen = super().read(job_id)
        if self.writes:
            self.writes.pop(0)()
        return seen

    def read_work(self, job_id: str) -> tuple[Work, bytes]:
        self.require_there()
        return super().read_work(job_id)

    def replace(self, job: Job, result: bytes | None = None, entry: str | None = None) -> bool:
        self.require_there()
        must_ring = super().replace(job, result, entry)
        if self.lost_replies:
            self.lost_replies -= 1
            self.on_lost_reply()
            raise UnavailableError("the connection broke before the answer came")
        return must_ring


class FickleLanes(MemoryLanes):
    def __init__(self, jobs: FickleJobs) -> None:
        super().__init__(jobs)
        self._store = jobs

    def reserve(
        self, lane: str, worker: str, rows: int, *, clears_bell: bool, stays: bool = False
    ) -> tuple[list[Reservation], bool]:
        self._store.require_there()
        return super().reserve(lane, worker, rows, clears_bell=clears_bell, stays=stays)

    def wait_for_job(self, lane: str, worker: str, timeout_s: float) -> bool:
        self._store.require_there()
        return super().wait_for_job(lane, worker, timeout_s)

    def detach(self, lane: str, worker: str) -> bool:
        self._store.require_there()
        return super().detach(lane, worker)

    def renew(self, reservations: list[Reservation]) -> list[State | None]:
        self._store.require_there()
        return super().renew(reservations)

    def requeue(self, reservation: Reservation) -> bool:
        self._store.require_there()
        return super().requeue(reservation)


class AwayBells:
    """A queue that cannot be reached."""

    def ring(self, lane: str, *, is_overtaking: bool = False) -> bool:
        return False


class FakeWorker:
    """One lane of predictions, and the worker that serves it."""

    def __init__(self, time: Time, beats: Beats) -> None:
        self.time = time
        self.beats = beats
        self.now = NOW
        self.jobs = FickleJobs()
        self.jobs.clock = lambda: self.now
        self.lanes = FickleLanes(self.jobs)
        self.bells = MemoryDoorbell()
        self.runs: list[Job] = []
        self.seen: list[tuple[Work, bytes]] = []
        self.run: Run = lambda job, work, rows, report: Result({"predictions": [1]})
        self.stop_by = math.inf
        self.ended_processes = 0
        self._numbers = itertools.count(1)
        self.consumer = self.another("worker-1")

    def another(
        self,
        name: str,
        bells: Doorbell | None = None,
        lease_s: float = LEASE_S,
        shared: SharedRunner | None = None,
    ) -> LaneConsumer:
        """shared: runs predictions that share a call; without it each one runs alone."""
        return LaneConsumer(
            self.jobs,
            self.lanes,
            bells or self.bells,
            {JobType.PREDICTION: self._run_scripted},
            lambda: self.now,
            jitter=lambda: 0.5,
            worker=name,
            limits=RunLimits(lease_s, RETENTION_S, MAX_RESULT_BYTES),
            stop_by=lambda: self.stop_by,
            end_process=self._end_process,
            shared_runners={} if shared is None else {JobType.PREDICTION: shared},
        )

    def reaper(self, lease_s: float = LEASE_S, messages_waiting: int = 0, bells: Doorbell | None = None) -> JobRecovery:
        """messages_waiting: in the queue, without the overtaking ones."""
        return JobRecovery(
            self.jobs,
            self.lanes,
            bells or self.bells,
            lambda lane: [len(self.bells.overtaking), messages_waiting],
            lambda: self.now,
            RecoveryLimits(lease_s, RETENTION_S),
            jitter=lambda: 0.5,
        )

    def drain(self, lane: str, *, is_overtaking: bool = False) -> list[ModelCall]:
        return self.consumer.drain(lane, is_overtaking=is_overtaking)

    def _end_process(self) -> None:
        self.ended_processes += 1

    def _run_scripted(self, job: Job, work: Work, rows: bytes, report: Report) -> Result:
        self.runs.append(job)
        self.seen.append((work, rows))
        return self.run(job, work, rows, report)

    def submit(self, work: Work = WORK, rows: bytes = ROWS, **fields: Any) -> Job:
        """A job that waits in the lane. The names are job_1, job_2 and so on."""
        given = {"created_at": NOW - 5, "max_attempts": 3, "lane": LANE, "timeout_s": 60.0} | fields
        job = Job(f"job_{next(self._numbers)}", JobType.PREDICTION, ModelRef("model", 3), **given).accepted()
        self.jobs.create(job, work, rows)
        return job

    def job(self, job_id: str = "job_1") -> Job:
        return MemoryJobs.read(self.jobs, job_id)

    def result(self, job_id: str = "job_1") -> Any:
        result = self.jobs.read_with_result(job_id)[1]
        return None if result is None else json.loads(result)

    def write(self, change: Callable[[Job], Job], job_id: str = "job_1") -> None:
        """A move by another process."""
        MemoryJobs.replace(self.jobs, change(self.job(job_id)))

    def cancel(self, job_id: str = "job_1") -> None:
        self.write(lambda present: present.cancel_requested(self.now, RETENTION_S), job_id)

    def take_over(self, job_id: str = "job_1") -> None:
        """The reaper gives the job to another worker, which runs it now."""
        self.silence(job_id)
        reaper = self.reaper()
        reaper.sweep()
        self.now += 60
        reaper.sweep()
        self.lanes.reserve(LANE, "worker-2", 1, clears_bell=True)
        self.write(lambda present: present.claimed("worker-2", self.now), job_id)

    def silence(self, job_id: str = "job_1") -> None:
        """The lease of the job's worker ran out."""
        for entry in self.jobs.lanes[LANE]:
            if entry.job_id == job_id:
                entry.renewed_at = 0.0

    def waiting(self) -> list[str]:
        """Ids of the jobs in the lane that no worker holds, oldest first."""
        return [entry.job_id for entry in self.jobs.lanes.get(LANE, ()) if entry.worker is None]

    def warm_up(self, limit: int) -> None:
        """Lets the worker learn that claims of this lane are quick, until it takes `limit` jobs at a time."""
        for _ in range(limit - 1):  # claims of 1, 2, 4 ...
            self.submit()
        self.drain(LANE)
        self.runs.clear()
        self.seen.clear()
        self.bells.rung.clear()
        self.restart_numbers()

    def restart_numbers(self) -> None:
        self._numbers = itertools.count(101)
