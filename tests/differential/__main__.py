"""Compares the service's answers with the notebook's, on generated frames and estimators.

`python -m tests.differential --rows 100000 --seed 1`. Exit code 1 on any difference.
"""

import argparse
import random
import sys
import time
import warnings
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import sklearn
from threadpoolctl import threadpool_limits

from queuecast.logs import configure_logs
from tests.differential.cases import draw_case
from tests.differential.report import Conditions, section, text, write
from tests.differential.shrinking import shrunk
from tests.differential.tally import Difference, Tally
from tests.differential.trials import run_locally

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "09-answers.md"
MAX_SHRUNK = 5
ROWS_PER_TRIAL = 200
QUIET_S = 30.0


def main() -> int:
    options = _options()
    warnings.simplefilter("ignore")
    configure_logs("CRITICAL")
    began = time.monotonic()
    tally = Tally()
    print(f"seed {options.seed}", flush=True)
    try:
        with threadpool_limits(1):
            _run(options, tally)
    except KeyboardInterrupt:
        print("interrupted")
        options.write = False
    print(text(tally))
    print(f"seed {options.seed}, {time.monotonic() - began:.0f} s")
    if options.write:
        conditions = Conditions(
            f"{datetime.now(UTC):%Y-%m-%d}", options.seed, options.rows, (time.monotonic() - began) / 60, _versions()
        )
        write(PAGE, section(tally, conditions))
        print(f"written: {PAGE.name}")
    return 1 if tally.differences else 0


def _run(options: argparse.Namespace, tally: Tally) -> None:
    number = options.trial if options.trial is not None else 0
    shown = time.monotonic()
    while tally.rows < options.rows:
        case = draw_case(options.seed, number, options.rows_per_trial)
        before = len(tally.differences)
        run_locally(case, tally)
        for difference in tally.differences[before:][: max(0, MAX_SHRUNK - before)]:
            smallest = difference if options.no_shrinking else shrunk(case, difference, run_locally)
            _replace(tally, difference, smallest)
            print(smallest, flush=True)
        if time.monotonic() > shown + QUIET_S:
            shown = time.monotonic()
            print(f"trial {number}: {tally.rows:,} rows, {len(tally.differences)} differences", flush=True)
        if options.trial is not None:
            return
        number += 1


def _replace(tally: Tally, difference: Difference, smallest: Difference) -> None:
    tally.differences[tally.differences.index(difference)] = smallest


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make differential", description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000, help="generated rows, each sent in every way")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000), help="default: drawn, and printed")
    parser.add_argument("--trial", type=int, help="only this trial of the seed")
    parser.add_argument("--rows-per-trial", type=int, default=ROWS_PER_TRIAL)
    parser.add_argument("--no-shrinking", action="store_true", help="report differences as they were found")
    parser.add_argument("--write", action="store_true", help=f"also write the result to docs/{PAGE.name}")
    return parser.parse_args()


def _versions() -> str:
    return (
        f"scikit-learn {sklearn.__version__}, pandas {pd.__version__}, numpy {np.__version__}, pyarrow {pa.__version__}"
    )


if __name__ == "__main__":
    sys.exit(main())
