"""The clients: threads that submit mixed work all the time, cancel some, send some three times at once, and watch.

Owns the threads and their pace. What they want is drawn in `orders`, how they ask is in `gateway`.
"""

import random
import threading
import time
from collections.abc import Callable
from contextlib import closing

from tests.chaos.gateway import Gateway, Request
from tests.chaos.history import History, Order
from tests.chaos.orders import BAIT_ROWS, Orders
from tests.chaos.plan import PATIENCE_S, Plan
from tests.chaos.sample_models import Zoo

REPEATS = 3
WATCHED_AT_ONCE = 12
BAIT_PATIENCE_S = 3.0


class Load:
    def __init__(self, url: str, plan: Plan, zoo: Zoo, history: History, file_id: str) -> None:
        self.history = history
        self._url = url
        self._plan = plan
        self._zoo = zoo
        self._file_id = file_id
        self._ending = threading.Event()
        self._threads: list[threading.Thread] = []
        self._baits = self.orders("bait")

    def orders(self, thread: str) -> Orders:
        return Orders(self._zoo, self._file_id, self._plan.seed, thread)

    def start(self) -> None:
        jobs: list[tuple[str, Callable[[str], None]]] = [
            (f"client{n}", self._client) for n in range(self._plan.clients)
        ]
        jobs.append(("watcher", self._watch))
        for name, body in jobs:
            thread = threading.Thread(target=body, args=(name,), name=name, daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """Returns when every client knows what became of its last order, or has given up on it."""
        self._ending.set()
        deadline = time.monotonic() + PATIENCE_S + 30
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def bait(self, queue: str) -> None:
        """Gives the workers of a queue something long to do, so that a fault hits a run and not an idle process."""
        with closing(Gateway(self._url, self.history)) as gateway:
            if queue == "train":
                wanted = [self._baits.training(iterations=1500)]
            else:  # two methods are two lanes, so they run on two workers
                wanted = [self._baits.prediction("slow", BAIT_ROWS, method) for method in ("predict", "predict_proba")]
            for order, request in wanted:
                job_id = gateway.submit(order, request, BAIT_PATIENCE_S)
            deadline = time.monotonic() + 1.0
            while job_id and time.monotonic() < deadline and (gateway.see(job_id) or {}).get("state") == "queued":
                time.sleep(0.05)

    def _client(self, name: str) -> None:
        orders = self.orders(name)
        pace = random.Random(f"{self._plan.seed}/pace/{name}")
        with closing(Gateway(self._url, self.history)) as gateway:
            while not self._ending.wait(pace.expovariate(self._plan.jobs_per_s / self._plan.clients)):
                kind, order, request = orders.draw()
                if kind == "repeated":
                    self._repeated(gateway, order, request)
                else:
                    job_id = gateway.submit(order, request)
                    if job_id and kind == "canceled":
                        time.sleep(pace.choice([0.0, 0.02, 0.3]))
                        gateway.cancel(job_id)

    def _repeated(self, gateway: Gateway, order: Order, request: Request) -> None:
        """The same order from several connections at once."""

        def send() -> None:
            with closing(Gateway(self._url, self.history)) as own:
                own.submit(order, request)

        others = [threading.Thread(target=send, daemon=True) for _ in range(REPEATS - 1)]
        for other in others:
            other.start()
        job_id = gateway.submit(order, request)
        for other in others:
            other.join(PATIENCE_S + 30)
        if job_id:
            gateway.reuse_key(order, request)

    def _watch(self, name: str) -> None:
        """Looks at open jobs, and now and then at an ended one: it must not have changed."""
        chance = random.Random(f"{self._plan.seed}/{name}")
        with closing(Gateway(self._url, self.history)) as gateway:
            while not self._ending.wait(0.25):
                known, still_open = list(self.history.accepted()), self.history.open_jobs()
                chosen = chance.sample(still_open, min(WATCHED_AT_ONCE, len(still_open)))
                for job_id in [*chosen, *chance.sample(known, min(2, len(known)))]:
                    gateway.see(job_id)
