"""One run of the benchmark: the stacks that are up, and every number that was measured, a list of rounds each."""

import math
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bench.known_answers import Known
from bench.measuring import Measured, measure
from bench.stacks import LitServeStack, QueuecastStack, Stack, TutorialStack

BUSY = 0.1  # above this share a measurement says more about the machine than about the servers


@dataclass
class Run:
    """samples: `figure.server.metric` -> one number a round; NaN where it could not be had, with a note on why."""

    known: Known
    stacks: dict[str, Stack] = field(default_factory=dict)
    samples: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    answers: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    wrong: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    generator_us: list[float] = field(default_factory=list)
    foreign_shares: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    polling_s: dict[str, float] = field(default_factory=lambda: {"closed": 0.1, "burst": 0.1, "open": 0.01})
    started: float = field(default_factory=time.monotonic)

    def start(self, *servers: str) -> None:
        kinds: dict[str, type[Stack]] = {kind.name: kind for kind in (TutorialStack, QueuecastStack, LitServeStack)}
        for name in servers:
            if name == LitServeStack.name and not LitServeStack.is_there():
                self.remark("LitServe is not installed here (requirements/litserve.txt), so it was not measured")
                continue
            stack = self.stacks[name] = kinds[name](self.known.folder, self.known)
            stack.start()
            stack.pause()
            self.say(f"{name} is up")

    def stop(self) -> None:
        for stack in self.stacks.values():
            stack.stop()

    def say(self, text: str) -> None:
        print(f"[{time.monotonic() - self.started:6.1f} s] {text}", flush=True)

    def remark(self, text: str) -> None:
        if text not in self.remarks:
            self.remarks.append(text)
            self.say(text)

    def note(self, key: str, value: float) -> None:
        self.samples[key].append(value)

    def measure(self, stack: Stack, shape: str, label: str = "", **what: Any) -> Measured:
        """Drives one load, checks its answers and prints a line. Wrong answers count for the whole run."""
        if stack.name == TutorialStack.name and shape in self.polling_s:
            what.setdefault("polling_s", self.polling_s[shape])
        stack.go_on()
        try:
            measured = measure(stack, shape, **what)
        finally:
            stack.pause()
        self.answers[stack.name] += measured.jobs
        self.wrong[stack.name] += measured.wrong
        if measured.refused:
            self.remark(f"{stack.name} refused to hold a fetch in the figure {label or shape}; it was sent again")
        self.generator_us.append(measured.generator_us_per_request)
        self.foreign_shares.append(measured.foreign_share)
        kinds = " ".join(f"{kind} {us:.0f}" for kind, us in measured.cpu_us_by_kind().items())
        p50_ms, p99_ms = measured.latency_ms(0.5), measured.latency_ms(0.99)
        self.say(
            f"{label or shape:12} {stack.name:10} {measured.jobs_per_s:7.1f} jobs/s  p50 {p50_ms:7.1f} ms  "
            f"p99 {p99_ms:7.1f} ms  {measured.wrong} of {measured.jobs} wrong  CPU us a job: {kinds}"
            f"{f'  (other processes: {measured.foreign_share:.0%})' if measured.foreign_share > BUSY else ''}"
        )
        return measured

    def note_measured(self, prefix: str, measured: Measured) -> None:
        """Every number that one load gives, under `prefix.server`."""
        self.note(f"{prefix}.jobs_per_s", measured.jobs_per_s)
        self.note(f"{prefix}.p50_ms", measured.latency_ms(0.5))
        self.note(f"{prefix}.p99_ms", measured.latency_ms(0.99))
        self.note(f"{prefix}.cpu_ms_per_job", measured.cpu_ms_per_job)
        for kind, cpu_us in measured.cpu_us_by_kind().items():
            self.note(f"{prefix}.cpu_us.{kind}", cpu_us)

    def results(self) -> dict[str, Any]:
        """As JSON; NaN becomes null."""
        samples = {
            key: [None if math.isnan(value) else value for value in values] for key, values in self.samples.items()
        }
        return {
            "samples": samples,
            "answers": dict(self.answers),
            "wrong": dict(self.wrong),
            "generator_us": self.generator_us,
            "foreign_shares": self.foreign_shares,
            "remarks": self.remarks,
            "polling_s": self.polling_s,
        }


@dataclass(frozen=True, slots=True)
class Figure:
    """servers: which must be up. rounds: how often at most; None for as often as the run has rounds."""

    measure: Callable[[Run], None]
    servers: tuple[str, ...]
    rounds: int | None = None
