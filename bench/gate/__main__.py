"""python -m bench.gate --trainings 1000 --write"""

import argparse
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import product

from threadpoolctl import threadpool_limits

from bench.gate.report import PAGE, table, write
from bench.gate.retrainings import SCENARIOS, Outcome, simulate
from bench.gate.worlds import worlds


def main() -> int:
    parser = argparse.ArgumentParser(prog="make simulation", description=__doc__)
    parser.add_argument("--trainings", type=int, default=1000, help="how many (default: 1000)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", action="store_true", help="also write the table to the documentation")
    options = parser.parse_args()
    outcomes = []
    for outcome in _outcomes(options.trainings, options.seed):
        outcomes.append(outcome)
        if len(outcomes) % 50 == 0:
            print(f"{len(outcomes)} of {options.trainings}", flush=True)
    print(table(outcomes))
    if options.write:
        write(outcomes, options.seed)
        print(f"written to {PAGE}")
    return 0


def _outcomes(trainings: int, seed: int) -> Iterator[Outcome]:
    kinds = list(product(range(len(worlds())), SCENARIOS))
    tasks = [(*kinds[at % len(kinds)], seed * 1_000_000 + at) for at in range(trainings)]
    # A fit with threads of its own in each process would wait for the others' threads most of the time.
    with ProcessPoolExecutor(os.cpu_count(), initializer=threadpool_limits, initargs=(1,)) as pool:
        yield from pool.map(_simulate, tasks, chunksize=5)


def _simulate(task: tuple[int, str, int]) -> Outcome:
    world, scenario, seed = task
    return simulate(worlds()[world], scenario, seed)


if __name__ == "__main__":
    raise SystemExit(main())
