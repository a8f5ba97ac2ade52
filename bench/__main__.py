"""Measures queuecast and the Flask and Celery of a tutorial in turn, and writes the results.

python -m bench --rounds 5 --only closed,burst
"""

import argparse
import json
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from types import FrameType

from bench import one_row_jobs
from bench.figures import FIGURES, NOT_BY_DEFAULT
from bench.known_answers import fitted_titanic
from bench.machine import machine
from bench.plot import plot
from bench.processes import ROOT
from bench.report import FEWEST_ROUNDS, table, write
from bench.run import BUSY, Run

SERVERS = ("tutorial", "queuecast", "litserve")
TRIAL_ROUNDS = 3  # a shorter run takes the polling intervals that were best on an idle machine with two cores
PAGE = ROOT / "docs" / "performance.md"
RESULTS = ROOT / "data" / "bench" / "latest.json"


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often each figure is measured (default: 5)")
    parser.add_argument("--only", default="", metavar="FIGURE,...", help=f"some of: {', '.join(FIGURES)}")
    parser.add_argument("--write", action="store_true", help="also write the results to docs/performance.md")
    options = parser.parse_args()
    chosen = options.only.split(",") if options.only else [name for name in FIGURES if name not in NOT_BY_DEFAULT]
    if options.write and options.rounds < FEWEST_ROUNDS:
        parser.error(f"a page takes at least {FEWEST_ROUNDS} rounds")
    if unknown := [name for name in chosen if name not in FIGURES]:
        parser.error(f"no figure {', '.join(unknown)}; there are {', '.join(FIGURES)}")
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, interrupted)  # SIGTERM to this process ends the servers that it started
    with tempfile.TemporaryDirectory(prefix="queuecast-bench-") as folder:
        run = Run(fitted_titanic(Path(folder)))
        try:
            take_rounds(run, chosen, options.rounds)
            is_interrupted = False
        except KeyboardInterrupt:
            is_interrupted = True
            run.say("interrupted; stopping everything")
        finally:
            for ending in (signal.SIGINT, signal.SIGTERM):
                signal.signal(ending, signal.SIG_IGN)  # an impatient second Ctrl-C would leave servers behind
            run.stop()
    results = run.results() | {"machine": machine(), "rounds": options.rounds}
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=1))
    if max(run.foreign_shares, default=0.0) > BUSY:
        print("\nthe machine was busy with other things: these numbers are of little worth", file=sys.stderr)
    print(f"\n{table(results)}\nall numbers: {RESULTS.relative_to(ROOT)}")
    if options.write and not is_interrupted:
        write(PAGE, results)
        PAGE.with_suffix(".svg").write_text(plot(results))
        print(f"written: {PAGE.relative_to(ROOT)}")
    return 1 if is_interrupted or run.failures or any(run.wrong.values()) else 0


def take_rounds(run: Run, chosen: list[str], rounds: int) -> None:
    needed = {server for name in chosen for server in FIGURES[name].servers}
    run.start(*(server for server in SERVERS if server in needed))
    one_row_jobs.warm_up(run)
    if "tutorial" in run.stacks and rounds >= TRIAL_ROUNDS:
        one_row_jobs.polling(run)
    for number in range(1, rounds + 1):
        run.say(f"round {number} of {rounds}")
        for name in chosen:
            if number <= (FIGURES[name].rounds or rounds):
                _attempt(run, name)


def _attempt(run: Run, name: str) -> None:
    """Measures a figure. If that fails, the run notes it and goes on with the other figures."""
    try:
        FIGURES[name].measure(run)
    except (OSError, subprocess.SubprocessError) as error:
        run.failures.append(name)
        run.remark(f"the figure {name} failed: {error}")


def interrupted(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
