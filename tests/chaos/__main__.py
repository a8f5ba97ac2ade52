"""Chaos under load, with a seed: `python -m tests.chaos --rounds 20 --seed 1`. Exit code 1 on any violation."""

import argparse
import random
import shutil
import signal
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from tests.chaos.campaign import Campaign
from tests.chaos.faults import FAULTS, known_faults
from tests.chaos.plan import Plan


def main() -> int:
    options = _options()
    plan = Plan(
        seed=options.seed,
        faults=options.faults,
        rounds=options.rounds,
        jobs_per_round=options.jobs_per_round,
        lease_s=options.lease_s,
        jobs_per_s=options.jobs_per_s,
        is_brief=options.brief,
    )
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGHUP, _interrupt)
    folder = Path(tempfile.mkdtemp(prefix="queuecast-chaos-"))
    campaign = Campaign(plan, folder, partial(print, flush=True))
    try:
        campaign.start()
        campaign.run_rounds()
        if not options.no_poison:
            campaign.run_poison_job()
        violations, text = campaign.verdict()
    except KeyboardInterrupt:
        print("interrupted")
        return 130
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C must not leave processes behind
        campaign.stop()
    print(text)
    print(f"seed {plan.seed}" + (f"; logs are in {folder}" if violations or options.keep else ""))
    if not violations and not options.keep:
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if violations else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000), help="default: drawn, and printed")
    parser.add_argument("--jobs-per-round", type=int, default=200, help="before the next round starts (default: 200)")
    parser.add_argument("--jobs-per-s", type=float, default=15.0, help="submission rate of all clients together")
    parser.add_argument("--lease-s", type=int, default=4, help="QUEUECAST_LEASE_S of the service")
    parser.add_argument(
        "--faults", type=_faults, default=known_faults(), help=f"comma-separated, from {','.join(FAULTS)}"
    )
    parser.add_argument("--brief", action="store_true", help="all faults in each round, without waiting for recovery")
    parser.add_argument("--no-poison", action="store_true", help="skip the job whose process always dies")
    parser.add_argument("--keep", action="store_true", help="keep logs and data even if there are no violations")
    return parser.parse_args()


def _faults(text: str) -> tuple[str, ...]:
    chosen = tuple(text.split(","))
    if unknown := [kind for kind in chosen if kind not in FAULTS]:
        raise argparse.ArgumentTypeError(f"unknown fault {unknown[0]!r}, expected one of {', '.join(FAULTS)}")
    return chosen


def _interrupt(*_: Any) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
