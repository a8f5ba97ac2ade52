"""One run from start to verdict: the service, the load, the rounds of faults, the quiet, the checks."""

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
from tests.chaos.checks import violations
from tests.chaos.cluster import Cluster, has_reaper
from tests.chaos.evidence import Evidence, gather, keys, rest_bytes
from tests.chaos.faults import inject, make_room
from tests.chaos.gateway import Gateway
from tests.chaos.history import History
from tests.chaos.injection import Scene
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
from tests.chaos.recovery import note_reruns, watch_recovery
from tests.chaos.report import report
from tests.chaos.sample_models import Zoo
from tests.chaos.violation import Violation

PAUSE_S = (0.2, 3.0)
BRIEF_PAUSE_S = (0.1, 0.6)


class Campaign:
    """Call `start`, then `rounds` or `poisoned`, then `verdict`; `stop` ends every process, whatever happened."""

    def __init__(self, plan: Plan, folder: Path, say: Callable[[str], None] = print) -> None:
        self.plan = plan
        self.say = say
        self.history = History()
        self.evidence = Evidence(self.history, lease_s=plan.lease_s)
        self.zoo = Zoo(plan.seed)
        settings = {"lease_s": plan.lease_s, "max_attempts": ATTEMPTS, "shutdown_grace_s": 20}
        self.cluster = Cluster(folder, plan.seed, settings, say)
        self._began_at = time.monotonic()
        self._canaries: list[threading.Thread] = []
        self._numbers = count(1)
        self._deck = self._deal()

    def start(self) -> None:
        """The service with every model pushed; memory is measured then."""
        self.tell(f"seed {self.plan.seed}; logs and data in {self.cluster.folder}")
        if not has_reaper():
            self.tell("this code has no worker.reaper, so none is started")
        self.cluster.start()
        with closing(Gateway(self.cluster.url, self.history)) as gateway:
            self.load = Load(self.cluster.url, self.plan, self.zoo, self.history, _upload_training_file(gateway))
            orders = self.load.orders("setup")
            jobs = [gateway.submit(*orders.importing(name)) for name in self.zoo.examples]
            self._wait_ended(gateway, [job for job in jobs if job], START_LIMIT_S)
        with self.cluster.connect() as client:
            self.evidence.rest_start_bytes = rest_bytes(client, keys(client))
        self.tell(f"the service is up with {', '.join(self.zoo.examples)}")

    def rounds(self) -> None:
        """All rounds under load. A round that does not end in time is noted, and is the last one."""
        self.load.start()
        try:
            for number in range(1, self.plan.rounds + 1):
                self._round(number)
        finally:
            self.load.stop()

    def poisoned(self) -> None:
        """A job whose process dies each time, with neighbours that must not suffer."""
        with closing(Gateway(self.cluster.url, self.history)) as gateway:
            self._wait_ended(gateway, self.history.open_jobs(), QUIET_LIMIT_S)
        poison(self.cluster, self.load, self.tell)

    def verdict(self) -> tuple[list[Violation], str]:
        """Repairs everything, waits for quiet, gathers the evidence and judges it."""
        self._repair()
        for canary in self._canaries:
            canary.join(RECOVERY_LIMIT_S)
        self._quiet()
        gather(self.cluster, self.evidence)
        note_reruns(self.evidence.recoveries, [body for body in self.evidence.first.values() if body])
        found = violations(self.evidence)
        found += wrong_answers(self.evidence, self.zoo, self.cluster.data / "models")
        return found, report(self.evidence, found, self.cluster.exits)

    def stop(self) -> None:
        self.cluster.stop()

    def tell(self, what: str) -> None:
        self.say(f"[{time.monotonic() - self._began_at:6.1f} s] {what}")

    def _round(self, number: int) -> None:
        chance = random.Random(f"{self.plan.seed}/round/{number}")
        scene = Scene(self.cluster, self.load, chance, self.plan.lease_s)
        size = self.history.size()
        deadline = time.monotonic() + ROUND_LIMIT_S
        n_faults = len(self.plan.faults) if self.plan.is_brief else chance.choice((1, 1, 2))
        for _ in range(n_faults):
            time.sleep(chance.uniform(*(BRIEF_PAUSE_S if self.plan.is_brief else PAUSE_S)))
            self._fault(scene, next(self._deck))
        while self.history.size() - size < self.plan.jobs_per_round and time.monotonic() < deadline:
            time.sleep(0.1)
        if time.monotonic() > deadline:
            self.evidence.mishaps.append(f"round {number} did not end within {ROUND_LIMIT_S:g} s")
        accepted = len(self.history.accepted())
        self.tell(f"round {number}: {accepted} jobs accepted so far, {len(self.history.open_jobs())} seen open")

    def _fault(self, scene: Scene, kind: str) -> None:
        try:
            hit = inject(scene, kind)
        except (OSError, TimeoutError) as error:
            self.evidence.mishaps.append(f"{kind} could not be done: {error}")
            self.tell(f"{kind}: {error}")
            return None
        recovery, canary = watch_recovery(self.cluster.url, self.load, hit, next(self._numbers))
        self.evidence.recoveries.append(recovery)
        self._canaries.append(canary)
        took = f"{kind:16} {hit.detail} ({hit.ended_at - hit.began_at:.1f} s)"
        if self.plan.is_brief:
            return self.tell(took)
        canary.join(RECOVERY_LIMIT_S + 10)
        told = "NOT recovered" if recovery.canary_s is None else f"recovered in {recovery.canary_s:.2f} s"
        return self.tell(f"{took}, {told}")

    def _deal(self) -> Iterator[str]:
        chance = random.Random(f"{self.plan.seed}/deck")
        while True:
            yield from chance.sample(self.plan.faults, len(self.plan.faults))

    def _repair(self) -> None:
        for member in self.cluster.members.values():
            member.is_wanted = True
        with self.cluster.connect() as client:
            make_room(client)
        self.cluster.wait_ready(START_LIMIT_S)

    def _quiet(self) -> None:
        """Returns when every accepted job has ended and no doorbell is left, or when there is no hope of it."""
        began_at = time.monotonic()
        with closing(Gateway(self.cluster.url, self.history)) as gateway, self.cluster.connect() as client:
            self._wait_ended(gateway, self.history.open_jobs(), QUIET_LIMIT_S)
            while time.monotonic() < began_at + QUIET_LIMIT_S + 10:
                if not client.exists(
                    *lists_of("predict"), *lists_of("train"), "qc:lanes", "qc:bells", "qc:delayed", "qc:expiring"
                ):
                    break
                time.sleep(0.2)
        still_open = len(self.history.open_jobs())
        self.tell(f"quiet after {time.monotonic() - began_at:.1f} s, {still_open} jobs still open")

    def _wait_ended(self, gateway: Gateway, jobs: list[str], limit_s: float) -> None:
        deadline = time.monotonic() + limit_s
        while jobs and time.monotonic() < deadline:
            for job_id in jobs[:50]:
                gateway.see(job_id)
            still_open = set(self.history.open_jobs())
            jobs = [job_id for job_id in jobs if job_id in still_open]
            jobs = jobs[50:] + jobs[:50]
            time.sleep(0.2)


def _upload_training_file(gateway: Gateway) -> str:
    content = train.DATA.read_bytes()
    status, body = gateway.post("/v1/files", content=content, headers={"Content-Type": "text/csv"})
    if status != 201:
        raise ConnectionError(f"the training file was answered with {status}")
    return str(body["id"])
