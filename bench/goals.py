"""The goals of the benchmark, and whether a run reached them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.spread import Spread, ratios

Samples = Mapping[str, Sequence[float | None]]


@dataclass(frozen=True, slots=True)
class Goal:
    """A number, or the ratio of two where `under` is given, and its bounds: floors, or ceilings if `is_ceiling`."""

    name: str
    over: str
    under: str
    must: float | None
    aim: float
    unit: str
    is_ceiling: bool = False

    def values(self, samples: Samples) -> list[float]:
        """One a round; of a run that was interrupted, the rounds that were whole."""
        over, under = numbers(samples, self.over), numbers(samples, self.under)
        if not self.under:
            return over
        whole = min(len(over), len(under))
        return ratios(over[:whole], under[:whole])

    def is_reached(self, found: Spread, bound: float | None) -> bool:
        """By the median; NaN reaches nothing."""
        if bound is None:
            return False
        return found.median <= bound if self.is_ceiling else found.median >= bound


def numbers(samples: Samples, key: str) -> list[float]:
    return [float("nan") if value is None else value for value in samples.get(key, ())]


def verdict(goal: Goal, found: Spread) -> str:
    if goal.is_reached(found, goal.aim):
        return "aim reached"
    if goal.must is None:
        return "aim not reached"
    return "reached" if goal.is_reached(found, goal.must) else "**not reached**"


def _floor(
    name: str, metric: str, must: float | None, aim: float, *, of: str = "queuecast", than: str = "tutorial"
) -> Goal:
    figure, _, number = metric.partition(".")
    return Goal(name, f"{figure}.{of}.{number}", f"{figure}.{than}.{number}", must, aim, f"x {than}")


def _ceiling(name: str, metric: str, must: float, aim: float, *, of: str = "queuecast", than: str = "tutorial") -> Goal:
    figure, _, number = metric.partition(".")
    over, under = f"{figure}.{of}.{number}", f"{figure}.{than}.{number}"
    return Goal(name, over, under, must, aim, f"x {than}", is_ceiling=True)


GOALS = (
    _floor("closed loop, 32 clients: jobs/s", "closed.jobs_per_s", 10, 20),
    _floor("closed loop, compared with a synchronous batching server", "closed.jobs_per_s", None, 1.5, than="litserve"),
    _floor("burst of 2,000: jobs/s", "burst.jobs_per_s", 12, 25),
    _ceiling("CPU per burst job, all processes", "burst.cpu_ms_per_job", 1 / 10, 1 / 20),
    _ceiling("closed loop: p99", "closed.p99_ms", 1 / 6, 1 / 10),
    _ceiling("open loop, 50 jobs/s: p50", "open.p50_ms", 0.7, 0.4),
    _ceiling("open loop, 50 jobs/s: p99", "open.p99_ms", 1.0, 0.7),
    _ceiling("400 parked long-polls: p99", "parked.p99_ms", 1.5, 1.1, of="400", than="none"),
    _floor("bulk CSV, 1M rows: rows/s", "bulk.rows_per_s", 0.6, 1.6, than="one process"),
    Goal("gateway's memory (PSS)", "memory.queuecast.gateway_mib", "", 70, 50, "MiB", is_ceiling=True),
    Goal("idle CPU of the busiest process", "idle.queuecast.busiest_percent", "", 0.5, 0.1, "%", is_ceiling=True),
)
