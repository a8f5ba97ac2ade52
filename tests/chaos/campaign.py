"""One run from start to verdict: the service, the load, the rounds of faults, the recovery, and the checks."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import count
from pathlib import Path

from examples.titanic import train
from queuecast.adapters.celery.settings import lists_of
from tests.chaos.answers import wrong_answers
from tests.chaos.checks import find_violations
from tests.chaos.cluster import Cluster, has_reaper
from tests.chaos.evidence import Evidence, gather, keys, memory_without_records
from tests.chaos.faults import free_memory, inject
from tests.chaos.history import History
from tests.chaos.injection import FaultContext
from tests.chaos.load import Load
from tests.chaos.plan import (
    ATTEMPTS,
    QUIET_LIMIT_S,
    RECOVERY_LIMIT_S,
    ROUND_LIMIT_S,
    START_LIMIT_S,
    Plan,
)
from tests.chaos.poison import poison
from tests.chaos.recording_client import RecordingClient
from tests.chaos.recovery import record_reruns, watch_recovery
from tests.chaos.report import report
from tests.chaos.sample_models import SampleModels
from tests.chaos.violation import Violation

PAUSE_S = (0.2, 3.0)
BRIEF_PAUSE_S = (0.1, 0.6)


class Campaign:
    """Call `start`, then `run_rounds` or `run_poison_job`, then `verdict`; always call `stop` to end all processes."""

    def __init__(self, plan: Plan, folder: Path, print_line: Callable[[str], None] = print) -> None:
        self.plan = plan
        self.print_line = print_line
        self.history = History()
        self.evidence = Evidence(self.history, lease_s=plan.lease_s)
        self.models = SampleModels(plan.seed)
        settings = {"lease_s": plan.lease_s, "max_attempts": ATTEMPTS, "shutdown_grace_s": 20}
        self.cluster = Cluster(folder, plan.seed, settings)
        self._began_at = time.monotonic()
        self._canaries: list[threading.Thread] = []
        self._numbers = count(1)
        self._fault_kinds = self._shuffled_faults()

    def start(self) -> None:
        """Starts the service, pushes every model, and then measures the memory of Redis."""
        self.log(f"seed {self.plan.seed}; logs and data in {self.cluster.folder}")
        if not has_reaper():
            self.log("this version has no worker.reaper, so no reaper is started")
        self.cluster.start()
        with closing(RecordingClient(self.cluster.url, self.history)) as client:
            self.load = Load(self.cluster.url, self.plan, self.models, self.history, _upload_training_file(client))
            submits = self.load.submits("setup")
            jobs = [client.submit(*submits.importing(name)) for name in self.models.examples]
            self._wait_ended(client, [job for job in jobs if job], START_LIMIT_S)
        with self.cluster.connect() as redis_client:
            self.evidence.start_memory_bytes = memory_without_records(redis_client, keys(redis_client))
        self.log(f"the service is up with {', '.join(self.models.examples)}")

    def run_rounds(self) -> None:
        """Runs all rounds under load. A round that does not end in time is recorded as an error."""
        self.load.start()
        try:
            for number in range(1, self.plan.rounds + 1):
                self._round(number)
        finally:
            self.load.stop()

    def run_poison_job(self) -> None:
        """Runs a job whose process dies on every attempt, next to jobs that must succeed."""
        with closing(RecordingClient(self.cluster.url, self.history)) as client:
            self._wait_ended(client, self.history.open_jobs(), QUIET_LIMIT_S)
        poison(self.cluster, self.load, self.log)

    def verdict(self) -> tuple[list[Violation], str]:
        """Restores the service, waits until it is idle, gathers the evidence, and checks it."""
        self._restore()
        for canary in self._canaries:
            canary.join(RECOVERY_LIMIT_S)
        self._wait_until_idle()
        gather(self.cluster, self.evidence)
        record_reruns(self.evidence.recoveries, [body for body in self.evidence.first_read.values() if body])
        found = find_violations(self.evidence)
        found += wrong_answers(self.evidence, self.models, self.cluster.data / "models")
        return found, report(self.evidence, found, self.cluster.exits)

    def stop(self) -> None:
        self.cluster.stop()

    def log(self, text: str) -> None:
        self.print_line(f"[{time.monotonic() - self._began_at:6.1f} s] {text}")

    def _round(self, number: int) -> None:
        chance = random.Random(f"{self.plan.seed}/round/{number}")
        context = FaultContext(self.cluster, self.load, chance, self.plan.lease_s)
        size = self.history.size()
        deadline = time.monotonic() + ROUND_LIMIT_S
        n_faults = len(self.plan.faults) if self.plan.is_brief else chance.choice((1, 1, 2))
        for _ in range(n_faults):
            time.sleep(chance.uniform(*(BRIEF_PAUSE_S if self.plan.is_brief else PAUSE_S)))
            self._inject_fault(context, next(self._fault_kinds))
        while self.history.size() - size < self.plan.jobs_per_round and time.monotonic() < deadline:
            time.sleep(0.1)
        if time.monotonic() > deadline:
            self.evidence.harness_errors.append(f"round {number} did not end within {ROUND_LIMIT_S:g} s")
        accepted = len(self.history.accepted())
        self.log(f"round {number}: {accepted} jobs accepted so far, {len(self.history.open_jobs())} open")

    def _inject_fault(self, context: FaultContext, kind: str) -> None:
        try:
            fault = inject(context, kind)
        except (OSError, TimeoutError) as error:
            self.evidence.harness_errors.append(f"could not inject {kind}: {error}")
            self.log(f"{kind}: {error}")
            return None
        recovery, canary = watch_recovery(self.cluster.url, self.load, fault, next(self._numbers))
        self.evidence.recoveries.append(recovery)
        self._canaries.append(canary)
        summary = f"{kind:16} {fault.detail} ({fault.ended_at - fault.began_at:.1f} s)"
        if self.plan.is_brief:
            return self.log(summary)
        canary.join(RECOVERY_LIMIT_S + 10)
        outcome = "NOT recovered" if recovery.canary_s is None else f"recovered in {recovery.canary_s:.2f} s"
        return self.log(f"{summary}, {outcome}")

    def _shuffled_faults(self) -> Iterator[str]:
        chance = random.Random(f"{self.plan.seed}/deck")
        while True:
            yield from chance.sample(self.plan.faults, len(self.plan.faults))

    def _restore(self) -> None:
        for member in self.cluster.members.values():
            member.is_wanted = True
        with self.cluster.connect() as redis_client:
            free_memory(redis_client)
        self.cluster.wait_ready(START_LIMIT_S)

    def _wait_until_idle(self) -> None:
        """Returns when every accepted job has ended and no message is left, or after QUIET_LIMIT_S."""
        began_at = time.monotonic()
        with closing(RecordingClient(self.cluster.url, self.history)) as client, self.cluster.connect() as redis_client:
            self._wait_ended(client, self.history.open_jobs(), QUIET_LIMIT_S)
            while time.monotonic() < began_at + QUIET_LIMIT_S + 10:
                if not redis_client.exists(
                    *lists_of("predict"), *lists_of("train"), "qc:lanes", "qc:bells", "qc:delayed", "qc:expiring"
                ):
                    break
                time.sleep(0.2)
        still_open = len(self.history.open_jobs())
        self.log(f"idle after {time.monotonic() - began_at:.1f} s, {still_open} jobs still open")

    def _wait_ended(self, client: RecordingClient, jobs: list[str], limit_s: float) -> None:
        deadline = time.monotonic() + limit_s
        while jobs and time.monotonic() < deadline:
            for job_id in jobs[:50]:
                client.read_job(job_id)
            still_open = set(self.history.open_jobs())
            jobs = [job_id for job_id in jobs if job_id in still_open]
            jobs = jobs[50:] + jobs[:50]
            time.sleep(0.2)


def _upload_training_file(client: RecordingClient) -> str:
    content = train.DATA.read_bytes()
    status, body = client.post("/v1/files", content=content, headers={"Content-Type": "text/csv"})
    if status != 201:
        raise ConnectionError(f"the upload of the training file was answered with {status}")
    return str(body["id"])
