"""Every accepted job ends once, in an expected state, and does not change afterwards."""

from itertools import pairwise

from tests.chaos.evidence import Evidence
from tests.chaos.history import FINAL, Body, Sighting, Submit, digest
from tests.chaos.plan import POISON_ATTEMPTS
from tests.chaos.violation import LOST, STUCK, WRONG, Violation, Violations


def accepted_jobs_end_as_expected(evidence: Evidence) -> Violations:
    for job_id, submit in evidence.history.accepted().items():
        body = evidence.first_read.get(job_id)
        if body is None:
            yield Violation(LOST, f"{submit.type} was accepted, but the gateway does not know it", job_id)
        elif body["state"] not in FINAL:
            yield Violation(STUCK, f"{submit.type} is still {body['state']} at attempt {body['attempt']}", job_id)
        elif reason := _unexpected_ending(submit, body):
            yield Violation(LOST, reason, job_id)
        elif submit.is_poisoned and job_id not in evidence.dead_letters:
            yield Violation(LOST, "the poison job is not among the dead letters", job_id)
    for body in evidence.listed:  # includes jobs whose acceptance never reached a client
        if body["id"] not in evidence.first_read and body["state"] not in FINAL:
            yield Violation(
                STUCK, f"{body['type']} without an answer to any client is still {body['state']}", body["id"]
            )


def ended_jobs_do_not_change(evidence: Evidence) -> Violations:
    for job_id, first in evidence.first_read.items():
        second = evidence.second_read.get(job_id)
        if first is not None and first["state"] in FINAL and _ending(first) != _ending(second):
            change = "gone" if second is None else f"{second['state']} at revision {second['revision']}"
            yield Violation(WRONG, f"{first['state']} at revision {first['revision']}, then {change}", job_id)


def sightings_never_go_back(evidence: Evidence) -> Violations:
    """A later read never shows an older revision, a new state after a final one, or a different result."""
    for job_id, sightings in evidence.history.sightings.items():
        for earlier, later in pairwise(sorted(sightings, key=lambda seen: seen.asked_at)):
            if later.asked_at >= earlier.at and (text := _step_back(earlier, later)):
                yield Violation(WRONG, text, job_id)
        results = {seen.result for seen in sightings if seen.state == "succeeded" and seen.result}
        if len(results) > 1:
            yield Violation(WRONG, f"{len(results)} different results were seen", job_id)


def cancels_hold(evidence: Evidence) -> Violations:
    """A job whose cancel was accepted ends canceled, and a job that was canceled in the queue never runs."""
    for answer in evidence.history.cancel_answers:
        body = evidence.first_read.get(answer.job_id)
        if body is None or answer.status == 409:
            continue
        if body["state"] in FINAL and body["state"] != "canceled":
            text = f"the cancel was answered with {answer.status}, but the job ended {body['state']}"
            yield Violation(WRONG, text, answer.job_id)
        if answer.state == "canceled" and body["attempt"] != answer.attempt:
            text = f"canceled at attempt {answer.attempt}, but now at attempt {body['attempt']}"
            yield Violation(WRONG, text, answer.job_id)


def timelines_agree_with_jobs(evidence: Evidence) -> Violations:
    """A job with attempts was claimed, and its last event is its only `finished`. Skips jobs without a timeline."""
    for job_id, body in evidence.first_read.items():
        events = [event["event"] for event in (body or {}).get("timeline") or []]
        if body is None or not events or body["state"] not in FINAL:
            continue
        if events.count("finished") != 1 or events[-1] != "finished":
            yield Violation(WRONG, f"the timeline does not end with a single 'finished': {', '.join(events)}", job_id)
        if "claimed" not in events and body["attempt"]:
            yield Violation(WRONG, f"attempt {body['attempt']}, but never claimed", job_id)


def _unexpected_ending(submit: Submit, body: Body) -> str:
    state, error = body["state"], body.get("error") or {}
    if submit.is_poisoned:
        ending = (state, error.get("code"), body["attempt"])
        expected = ("failed", "worker_lost", POISON_ATTEMPTS)
        return "" if ending == expected else f"the poison job ended {ending}, expected {expected}"
    allowed = (
        {"succeeded"} | ({"canceled"} if submit.is_canceled else set()) | ({"expired"} if submit.may_expire else set())
    )
    if state in allowed:
        return ""
    return f"{submit.type} ended {state} {error.get('code', '')}: {error.get('detail', '')[:200]}"


def _ending(body: Body | None) -> tuple[object, ...]:
    if body is None:
        return ()
    error = body.get("error") or {}  # compare only its code: its request_id changes with every read
    return body["state"], body["revision"], body["attempt"], digest(body.get("result")), error.get("code")


def _step_back(earlier: Sighting, later: Sighting) -> str:
    if later.revision < earlier.revision:
        return f"revision {earlier.revision} was seen, then {later.revision}"
    if earlier.state in FINAL and later.state != earlier.state:
        return f"state {earlier.state} was seen, then {later.state}"
    return ""
