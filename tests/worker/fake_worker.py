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
from worker.engine.contracts import AfterCall, ModelCall, Report, Result, RunLimits, SharedRunner
from worker.engine.recovery import JobRecovery, RecoveryLimits

NOW = 1_000.0
LEASE_S = 30.0
RETENTION_S = 60.0
MAX_RESULT_BYTES = 200
LANE = "prediction/model/3/predict"
WORK = PredictionWork(Method.PREDICT, 1)
ROWS = b"[[1.0]]"

Run = Callable[[Job, Work, bytes, Report], Result]


class FakeTime:
    """The clock of the engine: a sleep returns at once and moves the clock."""

    def __init__(self) -> None:
        self.now = 100.0
        self.on_pause: Callable[[], None] = lambda: None

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.on_pause()


class LeaseThread:
    """The clock of `worker.engine.leases`: its thread beats at the first hold, and then whenever a test asks for it."""

    def __init__(self, time: FakeTime) -> None:
        self._time = time
        self._sleeping = threading.Semaphore(0)
        self._awakened = threading.Semaphore(0)
        self._earlier_threads = set(threading.enumerate())

    def monotonic(self) -> float:
        return self._time.now

    def sleep(self, _seconds: float) -> None:
        if threading.current_thread() in self._earlier_threads:
            threading.Event().wait()  # a thread of an earlier test
        self._sleeping.release()
        self._awakened.acquire()  # blocks once the test is over

    def wait_for_beat(self) -> None:
        """Returns when the current beat is over."""
        assert self._sleeping.acquire(timeout=30), "the leases' thread did not beat"
        self._sleeping.release()

    def beat(self) -> None:
        self.wait_for_beat()
        self._sleeping.acquire()
        self._awakened.release()
        self.wait_for_beat()


class UnreliableJobs(MemoryJobs):
    """A store with outages, lost replies, and writes by other processes between a worker's read and its write."""

    def __init__(self) -> None:
        super().__init__()
        self.is_unreachable = False
        self.lost_replies = 0
        """How many of the next writes succeed but raise UnavailableError."""
        self.on_lost_reply: Callable[[], None] = lambda: None
        self.concurrent_writes: list[Callable[[], None]] = []
        """Writes by other processes, one after each of the next reads."""

    def require_reachable(self) -> None:
        if self.is_unreachable:
            raise UnavailableError("Redis does not answer")

    def create(
        self,
        job: Job,
        work: Work,
        rows: bytes = b"",
        idempotency_key: IdempotencyKey | None = None,
        replayed_dead_letter: str | None = None,
        *,
        checks_alias: bool = False,
    ) -> Accepted:
        self.require_reachable()
        return super().create(job, work, rows, idempotency_key, replayed_dead_letter, checks_alias=checks_alias)

    def read(self, job_id: str) -> Job:
        self.require_reachable()
        present = super().read(job_id)
        if self.concurrent_writes:
            self.concurrent_writes.pop(0)()
        return present

    def read_work(self, job_id: str) -> tuple[Work, bytes]:
        self.require_reachable()
        return super().read_work(job_id)

    def replace(self, job: Job, result: bytes | None = None, entry: str | None = None) -> bool:
        self.require_reachable()
        must_ring = super().replace(job, result, entry)
        if self.lost_replies:
            self.lost_replies -= 1
            self.on_lost_reply()
            raise UnavailableError("the connection broke before the answer came")
        return must_ring


class UnreliableLanes(MemoryLanes):
    def __init__(self, jobs: UnreliableJobs) -> None:
        super().__init__(jobs)
        self._store = jobs

    def reserve(
        self, lane: str, worker: str, rows: int, *, clears_bell: bool, stays: bool = False
    ) -> tuple[list[Reservation], bool]:
        self._store.require_reachable()
        return super().reserve(lane, worker, rows, clears_bell=clears_bell, stays=stays)

    def wait_for_job(self, lane: str, worker: str, timeout_s: float) -> bool:
        self._store.require_reachable()
        return super().wait_for_job(lane, worker, timeout_s)

    def detach(self, lane: str, worker: str) -> bool:
        self._store.require_reachable()
        return super().detach(lane, worker)

    def renew(self, reservations: list[Reservation]) -> list[State | None]:
        self._store.require_reachable()
        return super().renew(reservations)

    def requeue(self, reservation: Reservation) -> bool:
        self._store.require_reachable()
        return super().requeue(reservation)


class FakeWorker:
    """One lane of predictions, and the worker that serves it."""

    def __init__(self, time: FakeTime, lease_thread: LeaseThread) -> None:
        self.time = time
        self.lease_thread = lease_thread
        self.now = NOW
        self.jobs = UnreliableJobs()
        self.jobs.clock = lambda: self.now
        self.lanes = UnreliableLanes(self.jobs)
        self.doorbell = MemoryDoorbell()
        self.runs: list[Job] = []
        self.run_inputs: list[tuple[Work, bytes]] = []
        self.run: Run = lambda job, work, rows, report: Result({"predictions": [1]})
        self.stop_by = math.inf
        self.ended_processes = 0
        self._numbers = itertools.count(1)
        self.consumer = self.another_consumer("worker-1")

    def another_consumer(
        self,
        name: str,
        doorbell: Doorbell | None = None,
        lease_s: float = LEASE_S,
        shared: SharedRunner | None = None,
        after_call: AfterCall | None = None,
    ) -> LaneConsumer:
        """shared: runs predictions that share a call; without it each one runs alone."""
        return LaneConsumer(
            self.jobs,
            self.lanes,
            doorbell or self.doorbell,
            {JobType.PREDICTION: self._run_scripted},
            lambda: self.now,
            jitter=lambda: 0.5,
            worker=name,
            limits=RunLimits(lease_s, RETENTION_S, MAX_RESULT_BYTES),
            stop_by=lambda: self.stop_by,
            end_process=self._end_process,
            shared_runners={} if shared is None else {JobType.PREDICTION: shared},
            after_call=after_call,
        )

    def reaper(
        self, lease_s: float = LEASE_S, messages_waiting: int = 0, doorbell: Doorbell | None = None
    ) -> JobRecovery:
        """messages_waiting: in the queue, without the overtaking ones."""
        return JobRecovery(
            self.jobs,
            self.lanes,
            doorbell or self.doorbell,
            lambda lane: [len(self.doorbell.overtaking), messages_waiting],
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
        self.run_inputs.append((work, rows))
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
        self.let_lease_expire(job_id)
        reaper = self.reaper()
        reaper.sweep()
        self.now += 60
        reaper.sweep()
        self.lanes.reserve(LANE, "worker-2", 1, clears_bell=True)
        self.write(lambda present: present.claimed("worker-2", self.now), job_id)

    def let_lease_expire(self, job_id: str = "job_1") -> None:
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
        self.run_inputs.clear()
        self.doorbell.rung.clear()
        self.restart_numbers()

    def restart_numbers(self) -> None:
        self._numbers = itertools.count(101)


def event_names(job: Job) -> list[str]:
    return [entry.event.value for entry in job.timeline]
