"""What must hold of the jobs, whatever was done to the service. Pure: evidence in, violations out."""

from collections.abc import Callable

from tests.chaos.effect_checks import a_job_makes_one_version, promotions_form_a_chain
from tests.chaos.evidence import Evidence
from tests.chaos.job_checks import (
    accepted_jobs_end_as_they_must,
    cancels_hold,
    ended_jobs_stay_as_they_are,
    no_sighting_goes_back,
    timelines_agree_with_jobs,
)
from tests.chaos.leftovers import leftovers
from tests.chaos.order_checks import every_job_has_one_order, one_key_is_one_job, refusals_are_the_usual_ones
from tests.chaos.recovery import rerun_limit_s
from tests.chaos.violation import STUCK, Found, Violation

SHADOWS_S = {"kill_reaper": 12.0}  # nobody repairs until its lock has run out


def nothing_is_left_behind(evidence: Evidence) -> Found:
    for what, job_id in leftovers(evidence):
        yield Violation(STUCK, what, job_id)


def the_service_recovers(evidence: Evidence) -> Found:
    for mishap in evidence.mishaps:
        yield Violation(STUCK, mishap)
    for recovery in evidence.recoveries:
        if recovery.canary_s is None:
            yield Violation(STUCK, f"after {recovery.hit.kind} no canary came through", recovery.canary)
        late = [wait_s for wait_s in recovery.rerun_s if wait_s > rerun_limit_s(recovery, evidence.lease_s)]
        if late and not _is_disturbed(recovery.hit.began_at, max(late), evidence):
            limit_s = rerun_limit_s(recovery, evidence.lease_s)
            yield Violation(
                STUCK, f"after {recovery.hit.kind} a job ran again after {max(late):.1f} s, not {limit_s:.1f}"
            )


CHECKS: tuple[Callable[[Evidence], Found], ...] = (
    accepted_jobs_end_as_they_must,
    ended_jobs_stay_as_they_are,
    no_sighting_goes_back,
    one_key_is_one_job,
    every_job_has_one_order,
    refusals_are_the_usual_ones,
    cancels_hold,
    timelines_agree_with_jobs,
    a_job_makes_one_version,
    promotions_form_a_chain,
    nothing_is_left_behind,
    the_service_recovers,
)


def violations(evidence: Evidence) -> list[Violation]:
    return [found for check in CHECKS for found in check(evidence)]


def _is_disturbed(began_at: float, wait_s: float, evidence: Evidence) -> bool:
    """Whether another fault came before the job ran again: then nobody can say which of them it waited for."""
    others = [recovery.hit for recovery in evidence.recoveries if recovery.hit.began_at != began_at]
    return any(
        hit.began_at < began_at + wait_s and hit.ended_at + SHADOWS_S.get(hit.kind, 0) > began_at for hit in others
    )
