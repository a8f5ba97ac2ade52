"""One measurement: another process drives a load against a stack, while this one reads the CPU time of its servers."""

import json
import resource
import subprocess
import sys
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from bench.known_answers import wrong_answers
from bench.load import Order
from bench.processes import ROOT, machine_times_s
from bench.spread import percentile
from bench.stacks import ONE_THREAD, Stack

LOAD_WAIT_S = 300.0


@dataclass(frozen=True, slots=True)
class Measured:
    """The result of a load. cpu_s: per server process; generator_cpu_s: of the load generator alone.

    foreign_share: the share of all cores' time that went to other processes; a few hundredths on an idle machine.
    """

    jobs: int
    wrong: int
    seconds: float
    latencies_s: list[float]
    cpu_s: dict[str, float]
    generator_cpu_s: float
    requests: int
    parked: int
    refused: int
    refusals: dict[str, int]
    foreign_share: float

    @property
    def jobs_per_s(self) -> float:
        return self.jobs / self.seconds

    @property
    def cpu_ms_per_job(self) -> float:
        return 1000 * sum(self.cpu_s.values()) / self.jobs

    @property
    def generator_us_per_request(self) -> float:
        return 1e6 * self.generator_cpu_s / self.requests

    def latency_ms(self, share: float) -> float:
        return 1000 * percentile(self.latencies_s, share)

    def cpu_us_by_kind(self) -> dict[str, float]:
        """Microseconds a job: gateway, worker, worker children, reaper, redis."""
        kinds: Counter[str] = Counter()
        for name, seconds in self.cpu_s.items():
            kinds[kind_of_process(name)] += 1e6 * seconds / self.jobs  # type: ignore[assignment]
        return dict(kinds)


def kind_of_process(name: str) -> str:
    """`worker2/children` is of the kind `worker children`; a gateway's parts are one kind, because it forks or not."""
    program, _, part = name.partition("/")
    kind = program.rstrip("0123456789").replace("api", "gateway")
    return f"{kind} children" if part and kind == "worker" else kind


def measure(stack: Stack, shape: str, **what: Any) -> Measured:
    """Drives one order and checks every answer. Raises OSError when a process of the stack, or the load, ended."""
    order = Order(shape=shape, dialect=stack.name, port=stack.port, rows_file=str(stack.known.rows_file), **what)
    before, busy_s, all_s, load_s = stack.cpu_s(), *machine_times_s(), ended_children_s()
    ended = subprocess.run(
        [sys.executable, "-m", "bench.load"],
        input=json.dumps(asdict(order)).encode(),
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env=stack.environ(ONE_THREAD),
        timeout=LOAD_WAIT_S,
        check=False,
    )
    after = stack.cpu_s()
    busy_s, all_s, load_s = machine_times_s()[0] - busy_s, machine_times_s()[1] - all_s, ended_children_s() - load_s
    spent = {name: seconds - before.get(name, 0.0) for name, seconds in after.items()}
    stack.processes.require_running()
    if ended.returncode:
        raise OSError(f"the load on {stack.name} ended with code {ended.returncode}")
    report = json.loads(ended.stdout)
    seen = report["seen"]
    wrong = wrong_answers(((job["first_row"], job["end"]) for job in seen), order.rows_per_job, stack.known.expected)
    for found in wrong[:3]:
        print(f"    wrong answer of {stack.name}: {str(found)[:200]}")
    return Measured(
        jobs=len(seen),
        wrong=len(wrong),
        seconds=report["seconds"],
        latencies_s=[job["ended_at"] - job["started_at"] for job in seen],
        cpu_s=spent,
        generator_cpu_s=report["cpu_s"],
        requests=report["requests"],
        parked=report["parked"],
        refused=report["refused"],
        refusals=report["refusals"],
        foreign_share=max(0.0, busy_s - load_s - sum(spent.values())) / all_s,
    )


def ended_children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
