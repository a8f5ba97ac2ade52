"""The clients: threads that submit mixed work, cancel some jobs, send some submits three times, and poll jobs.

Owns the threads and their pace. `submits` draws the submits, and `recording_client` sends them.
"""

import random
import threading
import time
from collections.abc import Callable
from contextlib import closing

from tests.chaos.history import History, Submit
from tests.chaos.plan import PATIENCE_S, Plan
from tests.chaos.recording_client import RecordingClient, Request
from tests.chaos.sample_models import SampleModels
from tests.chaos.submits import BUSY_ROWS, Submits

REPEATS = 3
POLLED_AT_ONCE = 12
BUSY_PATIENCE_S = 3.0


class Load:
    def __init__(self, url: str, plan: Plan, samples: SampleModels, history: History, file_id: str) -> None:
        self.history = history
        self._url = url
        self._plan = plan
        self._samples = samples
        self._file_id = file_id
        self._ending = threading.Event()
        self._threads: list[threading.Thread] = []
        self._busy_submits = self.submits("busy")

    def submits(self, thread: str) -> Submits:
        return Submits(self._samples, self._file_id, self._plan.seed, thread)

    def start(self) -> None:
        targets: list[tuple[str, Callable[[str], None]]] = [
            (f"client{n}", self._submit_jobs) for n in range(self._plan.clients)
        ]
        targets.append(("watcher", self._poll_jobs))
        for name, target in targets:
            thread = threading.Thread(target=target, args=(name,), name=name, daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """Returns when every client knows the outcome of its last submit, or has given up."""
        self._ending.set()
        deadline = time.monotonic() + PATIENCE_S + 30
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def keep_busy(self, queue: str) -> None:
        """Submits long work to a queue, so that a fault hits a running job and not an idle process."""
        with closing(RecordingClient(self._url, self.history)) as client:
            if queue == "train":
                submits = [self._busy_submits.training(iterations=1500)]
            else:  # two methods have two lanes, so they run on two workers
                submits = [
                    self._busy_submits.prediction("slow", BUSY_ROWS, method) for method in ("predict", "predict_proba")
                ]
            for submit, request in submits:
                job_id = client.submit(submit, request, BUSY_PATIENCE_S)
            deadline = time.monotonic() + 1.0
            while job_id and time.monotonic() < deadline and (client.read_job(job_id) or {}).get("state") == "queued":
                time.sleep(0.05)

    def _submit_jobs(self, name: str) -> None:
        submits = self.submits(name)
        pace = random.Random(f"{self._plan.seed}/pace/{name}")
        with closing(RecordingClient(self._url, self.history)) as client:
            while not self._ending.wait(pace.expovariate(self._plan.jobs_per_s / self._plan.clients)):
                kind, submit, request = submits.draw()
                if kind == "repeated":
                    self._submit_repeatedly(client, submit, request)
                else:
                    job_id = client.submit(submit, request)
                    if job_id and kind == "canceled":
                        time.sleep(pace.choice([0.0, 0.02, 0.3]))
                        client.cancel(job_id)

    def _submit_repeatedly(self, client: RecordingClient, submit: Submit, request: Request) -> None:
        """Sends the same submit from several connections at once."""

        def send() -> None:
            with closing(RecordingClient(self._url, self.history)) as repeating:
                repeating.submit(submit, request)

        repeats = [threading.Thread(target=send, daemon=True) for _ in range(REPEATS - 1)]
        for repeat in repeats:
            repeat.start()
        job_id = client.submit(submit, request)
        for repeat in repeats:
            repeat.join(PATIENCE_S + 30)
        if job_id:
            client.reuse_key(submit, request)

    def _poll_jobs(self, name: str) -> None:
        """Polls open jobs, and a few known ones too: an ended job must not change."""
        chance = random.Random(f"{self._plan.seed}/{name}")
        with closing(RecordingClient(self._url, self.history)) as client:
            while not self._ending.wait(0.25):
                known, still_open = list(self.history.accepted()), self.history.open_jobs()
                chosen = chance.sample(still_open, min(POLLED_AT_ONCE, len(still_open)))
                for job_id in [*chosen, *chance.sample(known, min(2, len(known)))]:
                    client.read_job(job_id)
