"""The guarantees that must hold under any fault. The checks are pure functions from evidence to violations."""

from collections.abc import Callable

from tests.chaos.effect_checks import a_job_makes_one_version, promotions_form_a_chain
from tests.chaos.evidence import Evidence
from tests.chaos.job_checks import (
    accepted_jobs_end_as_expected,
    cancels_hold,
    ended_jobs_do_not_change,
    sightings_never_go_back,
    timelines_agree_with_jobs,
)
from tests.chaos.leftovers import leftovers
from tests.chaos.recovery import rerun_limit_s
from tests.chaos.submit_checks import every_job_has_one_submit, one_key_is_one_job, refusals_have_expected_statuses
from tests.chaos.violation import STUCK, Violation, Violations

REPAIR_PAUSE_S = {"kill_reaper": 12.0}  # no reaper repairs anything until the lock of the dead one expires


def nothing_is_left_behind(evidence: Evidence) -> Violations:
    for text, job_id in leftovers(evidence):
        yield Violation(STUCK, text, job_id)


def the_service_recovers(evidence: Evidence) -> Violations:
    for error in evidence.harness_errors:
        yield Violation(STUCK, error)
    for recovery in evidence.recoveries:
        if recovery.canary_s is None:
            yield Violation(STUCK, f"no canary succeeded after {recovery.fault.kind}", recovery.canary)
        late = [wait_s for wait_s in recovery.rerun_s if wait_s > rerun_limit_s(recovery, evidence.lease_s)]
        if late and not _is_disturbed(recovery.fault.began_at, max(late), evidence):
            limit_s = rerun_limit_s(recovery, evidence.lease_s)
            yield Violation(
                STUCK, f"after {recovery.fault.kind} a job ran again after {max(late):.1f} s, limit {limit_s:.1f} s"
            )


CHECKS: tuple[Callable[[Evidence], Violations], ...] = (
    accepted_jobs_end_as_expected,
    ended_jobs_do_not_change,
    sightings_never_go_back,
    one_key_is_one_job,
    every_job_has_one_submit,
    refusals_have_expected_statuses,
    cancels_hold,
    timelines_agree_with_jobs,
    a_job_makes_one_version,
    promotions_form_a_chain,
    nothing_is_left_behind,
    the_service_recovers,
)


def find_violations(evidence: Evidence) -> list[Violation]:
    return [violation for check in CHECKS for violation in check(evidence)]


def _is_disturbed(began_at: float, wait_s: float, evidence: Evidence) -> bool:
    """Whether another fault occurred before the job ran again, so that the delay cannot be attributed to one fault."""
    other_faults = [recovery.fault for recovery in evidence.recoveries if recovery.fault.began_at != began_at]
    return any(
        fault.began_at < began_at + wait_s and fault.ended_at + REPAIR_PAUSE_S.get(fault.kind, 0) > began_at
        for fault in other_faults
    )
