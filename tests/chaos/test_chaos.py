"""A short run with a fixed seed: every kind of fault once, without pauses, under load; then the poison job.

The long form is `make chaos ROUNDS=20 SEED=1`.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.campaign import Campaign
from tests.chaos.faults import known_faults
from tests.chaos.plan import Plan

SEED = 20261121

pytestmark = [
    pytest.mark.redis,
    pytest.mark.xdist_group("chaos"),
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]


@pytest.fixture
def campaign(tmp_path: Path) -> Iterator[Campaign]:
    plan = Plan(SEED, known_faults(), jobs_per_round=100, lease_s=3, jobs_per_s=10, clients=3, is_brief=True)
    running = Campaign(plan, tmp_path)
    try:
        running.start()
        yield running
    finally:
        running.stop()


def test_no_job_is_lost_doubled_or_stuck_under_faults(campaign: Campaign) -> None:
    campaign.run_rounds()

    violations, text = campaign.verdict()

    # Only the long form limits the time to a rerun: here faults overlap, and other tests run at the same time.
    assert [each for each in violations if "ran again after" not in each.text] == [], f"seed {SEED}\n{text}"


def test_a_job_whose_process_always_dies_fails_alone(campaign: Campaign) -> None:
    campaign.run_poison_job()

    violations, text = campaign.verdict()

    assert violations == [], f"seed {SEED}\n{text}"
