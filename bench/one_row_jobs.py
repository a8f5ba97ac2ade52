"""Figures of one-row jobs: closed loop, burst, open loop, and a profile by process."""

from bench.measuring import Measured
from bench.run import Run
from bench.stacks import QueuecastStack

CLOSED_S = 5.0
BURST_JOBS = 2000
BURSTS = 3  # on either side of one of the tutorial, which takes ten times as long as each
OPEN_S = 20.0
OPEN_JOBS_PER_S = 50.0
POLLING_S = (0.005, 0.01, 0.02, 0.05, 0.1)


def warm_up(run: Run) -> None:
    """Loads the model everywhere and fills the caches; nothing of it is noted."""
    for stack in run.stacks.values():
        run.measure(stack, "closed", "warm-up", seconds=2.0)


def polling(run: Run) -> None:
    """Picks the interval at which the tutorial's client does best: the most jobs, and at low load the lowest median."""
    tutorial = run.stacks["tutorial"]
    closed = {each: run.measure(tutorial, "closed", f"poll {each}", seconds=3.0, polling_s=each) for each in POLLING_S}
    best_closed = max(closed, key=lambda each: closed[each].jobs_per_s)
    opened = {
        each: run.measure(tutorial, "open", f"poll {each}", seconds=4.0, jobs_per_s=OPEN_JOBS_PER_S, polling_s=each)
        for each in POLLING_S
    }
    best_open = min(opened, key=lambda each: opened[each].latency_ms(0.5))
    run.polling_s = {"closed": best_closed, "burst": best_closed, "open": best_open}
    run.say(
        f"the tutorial's client polls every {1000 * best_closed:.0f} ms, in the open loop {1000 * best_open:.0f} ms"
    )


def closed(run: Run) -> None:
    for stack in run.stacks.values():
        run.note_measured(f"closed.{stack.name}", run.measure(stack, "closed", seconds=CLOSED_S))


def burst(run: Run) -> None:
    """The middle one of queuecast's bursts counts, because a slow second of the machine can fill most of one burst."""

    def bursts() -> list[Measured]:
        return [run.measure(run.stacks["queuecast"], "burst", jobs=BURST_JOBS) for _ in range(BURSTS)]

    before = bursts()
    run.note_measured("burst.tutorial", run.measure(run.stacks["tutorial"], "burst", jobs=BURST_JOBS))
    ranked = sorted([*before, *bursts()], key=lambda each: each.jobs_per_s)
    run.note_measured("burst.queuecast", ranked[(len(ranked) - 1) // 2])


def open_loop(run: Run) -> None:
    for name in ("tutorial", "queuecast"):
        measured = run.measure(run.stacks[name], "open", seconds=OPEN_S, jobs_per_s=OPEN_JOBS_PER_S, clients=64)
        run.note_measured(f"open.{name}", measured)


def profile(run: Run) -> None:
    """queuecast alone, for its developers: the cost of a job by process."""
    stack = run.stacks[QueuecastStack.name]
    run.note_measured("profile.closed", run.measure(stack, "closed", seconds=CLOSED_S))
    run.note_measured("profile.burst", run.measure(stack, "burst", jobs=BURST_JOBS))
    open_measured = run.measure(stack, "open", seconds=OPEN_S / 2, jobs_per_s=OPEN_JOBS_PER_S, clients=64)
    run.note_measured("profile.open", open_measured)
