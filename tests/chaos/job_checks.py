"""Every accepted job ends, as it must, once, and stays as it ended."""

from itertools import pairwise

from tests.chaos.evidence import Evidence
from tests.chaos.history import FINAL, Body, Order, Sighting, digest
from tests.chaos.plan import POISON_ATTEMPTS
from tests.chaos.violation import LOST, STUCK, WRONG, Found, Violation


def accepted_jobs_end_as_they_must(evidence: Evidence) -> Found:
    for job_id, order in evidence.history.accepted().items():
        body = evidence.first.get(job_id)
        if body is None:
            yield Violation(LOST, f"{order.type} was accepted, and the gateway knows no such job", job_id)
        elif body["state"] not in FINAL:
            yield Violation(STUCK, f"{order.type} is still {body['state']} at attempt {body['attempt']}", job_id)
        elif reason := _bad_ending(order, body):
            yield Violation(LOST, reason, job_id)
        elif order.is_poisoned and job_id not in evidence.dead:
            yield Violation(LOST, "a poisoned job is not among the dead letters", job_id)
    for body in evidence.listed:  # accepted as well, though its client never heard of it
        if body["id"] not in evidence.first and body["state"] not in FINAL:
            yield Violation(STUCK, f"{body['type']}, of which no client heard, is still {body['state']}", body["id"])


def ended_jobs_stay_as_they_are(evidence: Evidence) -> Found:
    for job_id, first in evidence.first.items():
        second = evidence.second.get(job_id)
        if first is not None and first["state"] in FINAL and _ending(first) != _ending(second):
            found = "gone" if second is None else f"{second['state']} at revision {second['revision']}"
            yield Violation(WRONG, f"{first['state']} at revision {first['revision']}, then {found}", job_id)


def no_sighting_goes_back(evidence: Evidence) -> Found:
    """A later read never shows an older revision, another state after a final one, or another result."""
    for job_id, sightings in evidence.history.sightings.items():
        for earlier, later in pairwise(sorted(sightings, key=lambda seen: seen.asked_at)):
            if later.asked_at >= earlier.at and (what := _step_back(earlier, later)):
                yield Violation(WRONG, what, job_id)
        results = {seen.result for seen in sightings if seen.state == "succeeded" and seen.result}
        if len(results) > 1:
            yield Violation(WRONG, f"{len(results)} different results were seen", job_id)


def cancels_hold(evidence: Evidence) -> Found:
    """Who was told "canceled" or "canceling" finds it canceled, and what was canceled in the queue never ran."""
    for said in evidence.history.cancelings:
        body = evidence.first.get(said.job_id)
        if body is None or said.status == 409:
            continue
        if body["state"] in FINAL and body["state"] != "canceled":
            yield Violation(WRONG, f"the cancel was answered {said.status}, and it ended {body['state']}", said.job_id)
        if said.state == "canceled" and body["attempt"] != said.attempt:
            what = f"canceled at attempt {said.attempt}, and at attempt {body['attempt']} now"
            yield Violation(WRONG, what, said.job_id)


def timelines_agree_with_jobs(evidence: Evidence) -> Found:
    """Attempts are claims, one `finished` is the last event. Where the API has no timelines nothing is checked."""
    for job_id, body in evidence.first.items():
        events = [event["event"] for event in (body or {}).get("timeline") or []]
        if body is None or not events or body["state"] not in FINAL:
            continue
        if events.count("finished") != 1 or events[-1] != "finished":
            yield Violation(WRONG, f"its timeline does not end with one 'finished': {', '.join(events)}", job_id)
        if "claimed" not in events and body["attempt"]:
            yield Violation(WRONG, f"attempt {body['attempt']} and never claimed", job_id)


def _bad_ending(order: Order, body: Body) -> str:
    state, error = body["state"], body.get("error") or {}
    if order.is_poisoned:
        ending = (state, error.get("code"), body["attempt"])
        expected = ("failed", "worker_lost", POISON_ATTEMPTS)
        return "" if ending == expected else f"a poisoned job ended {ending}, expected {expected}"
    may = {"succeeded"} | ({"canceled"} if order.is_canceled else set()) | ({"expired"} if order.may_expire else set())
    if state in may:
        return ""
    return f"{order.type} ended {state} {error.get('code', '')}: {error.get('detail', '')[:200]}"


def _ending(body: Body | None) -> tuple[object, ...]:
    if body is None:
        return ()
    error = body.get("error") or {}  # its request_id is that of the request that reads it
    return body["state"], body["revision"], body["attempt"], digest(body.get("result")), error.get("code")


def _step_back(earlier: Sighting, later: Sighting) -> str:
    if later.revision < earlier.revision:
        return f"revision {earlier.revision} was seen, then {later.revision}"
    if earlier.state in FINAL and later.state != earlier.state:
        return f"it was seen {earlier.state}, then {later.state}"
    return ""
