"""The clients: threads that submit mixed work, cancel some jobs, send some orders three times at once, and poll jobs.

Owns the threads and their pace. `orders` draws the orders, and `gateway` sends them.
"""

import random
import threading
import time
from collections.abc import Callable
from contextlib import closing

from tests.chaos.gateway import Gateway, Request
from tests.chaos.history import History, Order
from tests.chaos.orders import BUSY_ROWS, Orders
from tests.chaos.plan import PATIENCE_S, Plan
from tests.chaos.sample_models import SampleModels

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
        self._busy_orders = self.orders("busy")

    def orders(self, thread: str) -> Orders:
        return Orders(self._samples, self._file_id, self._plan.seed, thread)

    def start(self) -> None:
        jobs: list[tuple[str, Callable[[str], None]]] = [
            (f"client{n}", self._client) for n in range(self._plan.clients)
        ]
        jobs.append(("watcher", self._poll_jobs))
        for name, body in jobs:
            thread = threading.Thread(target=body, args=(name,), name=name, daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """Returns when every client knows the outcome of its last order, or has given up."""
        self._ending.set()
        deadline = time.monotonic() + PATIENCE_S + 30
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def keep_busy(self, queue: str) -> None:
        """Submits long work to a queue, so that a fault hits a running job and not an idle process."""
        with closing(Gateway(self._url, self.history)) as gateway:
            if queue == "train":
                orders = [self._busy_orders.training(iterations=1500)]
            else:  # two methods have two lanes, so they run on two workers
                orders = [
                    self._busy_orders.prediction("slow", BUSY_ROWS, method) for method in ("predict", "predict_proba")
                ]
            for order, request in orders:
                job_id = gateway.submit(order, request, BUSY_PATIENCE_S)
            deadline = time.monotonic() + 1.0
            while job_id and time.monotonic() < deadline and (gateway.read_job(job_id) or {}).get("state") == "queued":
                time.sleep(0.05)

    def _client(self, name: str) -> None:
        orders = self.orders(name)
        pace = random.Random(f"{self._plan.seed}/pace/{name}")
        with closing(Gateway(self._url, self.history)) as gateway:
            while not self._ending.wait(pace.expovariate(self._plan.jobs_per_s / self._plan.clients)):
                kind, order, request = orders.draw()
                if kind == "repeated":
                    self._submit_repeatedly(gateway, order, request)
                else:
                    job_id = gateway.submit(order, request)
                    if job_id and kind == "canceled":
                        time.sleep(pace.choice([0.0, 0.02, 0.3]))
                        gateway.cancel(job_id)

    def _submit_repeatedly(self, gateway: Gateway, order: Order, request: Request) -> None:
        """Sends the same order from several connections at once."""

        def send() -> None:
            with closing(Gateway(self._url, self.history)) as own:
                own.submit(order, request)

        repeats = [threading.Thread(target=send, daemon=True) for _ in range(REPEATS - 1)]
        for repeat in repeats:
            repeat.start()
        job_id = gateway.submit(order, request)
        for repeat in repeats:
            repeat.join(PATIENCE_S + 30)
        if job_id:
            gateway.reuse_key(order, request)

    def _poll_jobs(self, name: str) -> None:
        """Polls open jobs, and a few known ones too: an ended job must not change."""
        chance = random.Random(f"{self._plan.seed}/{name}")
        with closing(Gateway(self._url, self.history)) as gateway:
            while not self._ending.wait(0.25):
                known, still_open = list(self.history.accepted()), self.history.open_jobs()
                chosen = chance.sample(still_open, min(POLLED_AT_ONCE, len(still_open)))
                for job_id in [*chosen, *chance.sample(known, min(2, len(known)))]:
                    gateway.read_job(job_id)
