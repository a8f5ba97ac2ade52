"""Figures of idle servers: the memory of each process, and its CPU while no job arrives."""

import time
from collections import defaultdict

from bench.measuring import kind_of_process
from bench.run import Run

IDLE_S = 30.0


def memory(run: Run) -> None:
    """The sum of each kind of process, after the loads before it."""
    for name in ("tutorial", "queuecast"):
        kinds: defaultdict[str, float] = defaultdict(float)
        for process, used in run.stacks[name].memory().items():
            kinds[kind_of_process(process)] += used.pss_mib
        for kind, mib in kinds.items():
            run.note(f"memory.{name}.{kind}_mib", mib)
        run.say(f"memory       {name:10} " + " ".join(f"{kind} {mib:.0f} MiB" for kind, mib in kinds.items()))


def idle(run: Run) -> None:
    """Measures all servers at once, because none of them has work."""
    before = {name: run.stacks[name].cpu_s() for name in ("tutorial", "queuecast")}
    time.sleep(IDLE_S)
    for name, started_s in before.items():
        percent = {each: 100 * (now_s - started_s[each]) / IDLE_S for each, now_s in run.stacks[name].cpu_s().items()}
        run.note(f"idle.{name}.busiest_percent", max(percent.values()))
        for process, share in percent.items():
            run.note(f"idle.{name}.{process}_percent", share)
        run.say(f"idle         {name:10} " + " ".join(f"{each} {share:.2f} %" for each, share in percent.items()))
