"""What must hold of the jobs, whatever was done to the service. Pure: evidence in, violations out.

`lost`: accepted and not carried out. `doubled`: an effect twice. `stuck`: not over, or something left behind.
`wrong`: an answer or a state that cannot be.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from tests.chaos.evidence import Evidence
from tests.chaos.history import FAIL, FINAL, OK, Answer, Body, Order, Sighting, digest, outcome_of
from tests.chaos.leftovers import leftovers
from tests.chaos.plan import POISON_ATTEMPTS
from tests.chaos.recovery import rerun_limit_s

KINDS = LOST, DOUBLED, STUCK, WRONG = "lost", "doubled", "stuck", "wrong"
SHADOWS_S = {"kill_reaper": 12.0}  # nobody repairs until its lock has run out
USUAL = {200, 202, 429, 503}


@dataclass(frozen=True, slots=True)
class Violation:
    kind: str
    what: str
    job_id: str = ""


Found = Iterator[Violation]


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


def one_key_is_one_job(evidence: Evidence) -> Found:
    for answers in _by_key(evidence).values():
        ids = sorted({said.job_id for said in answers if said.outcome == OK})
        if len(ids) > 1:
            yield Violation(DOUBLED, f"one Idempotency-Key was accepted as {len(ids)} jobs: {', '.join(ids)}", ids[0])
        firsts = [said for said in answers if said.outcome == OK and not said.is_replay]
        if len(ids) == 1 and len(firsts) > 1:
            yield Violation(WRONG, f"{len(firsts)} answers to one key do not say that they are replays", ids[0])
    for key, status in evidence.history.conflicts:
        if status in (200, 202):
            yield Violation(DOUBLED, f"the Idempotency-Key {key} was accepted for another body too")


def every_job_has_one_order(evidence: Evidence) -> Found:
    """The service lists no job that was refused, and none twice for one order, known to the client or not."""
    named = {order.model: key for key, order in evidence.history.orders.items() if order.type == "import"}
    by_key = _by_key(evidence)
    jobs: defaultdict[str, list[str]] = defaultdict(list)
    for body in evidence.listed:
        if body.get("retry_of"):
            continue
        key = named.get(body["model"]["name"]) if body["type"] == "import" else body["metadata"].get("chaos")
        if key not in evidence.history.orders:
            yield Violation(WRONG, f"a {body['type']} that nobody ordered", body["id"])
        else:
            jobs[key].append(body["id"])
    for key, ids in jobs.items():
        known = {said.job_id for said in by_key.get(key, []) if said.outcome == OK}
        if len(ids) > 1 and not known.issuperset(ids):  # ids that a client was told are one_key_is_one_job's
            yield Violation(DOUBLED, f"order {key} became {len(ids)} jobs: {', '.join(sorted(ids))}", ids[0])
        if by_key.get(key) and outcome_of(by_key[key]) == FAIL:
            statuses = sorted({said.status for said in by_key[key]})
            yield Violation(WRONG, f"the gateway refused it ({statuses}) and made a job of it all the same", ids[0])


def refusals_are_the_usual_ones(evidence: Evidence) -> Found:
    for said in evidence.history.answers:
        order = evidence.history.orders[said.key]
        usual = USUAL | {409} if order.type == "training" else USUAL
        if said.status and said.status not in usual:
            yield Violation(WRONG, f"a {order.type} was answered with {said.status}: {said.detail[:200]}", said.job_id)


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


def a_job_makes_one_version(evidence: Evidence) -> Found:
    made = Counter(version.job_id for version in evidence.versions)
    for job_id, number in made.items():
        if number > 1:
            yield Violation(DOUBLED, f"made {number} versions", job_id)
    for job_id, order in evidence.history.accepted().items():
        body = evidence.first.get(job_id)
        if order.type == "prediction" or body is None or body["state"] != "succeeded":
            continue
        said = (body["result"]["model"], body["result"]["version"])
        there = [(version.model, version.number) for version in evidence.versions if version.job_id == job_id]
        if there != [said]:
            yield Violation(LOST, f"said that it made {said}, and there is {there}", job_id)


def promotions_form_a_chain(evidence: Evidence) -> Found:
    for model, moves in evidence.moves.items():
        pointing: dict[str, int | None] = {}
        for expected, move in enumerate(moves, 1):
            if move["generation"] != expected:
                yield Violation(WRONG, f"{model}: generation {move['generation']} where {expected} was due")
            if move["previous"] != pointing.get(move["alias"]):
                what = f"{model}: {move['alias']} moved from {move['previous']}, it was {pointing.get(move['alias'])}"
                yield Violation(WRONG, what, move.get("job_id") or "")
            pointing[move["alias"]] = move["version"]
        for alias in ("champion", "challenger"):
            promoted = Counter(move["job_id"] for move in moves if move["alias"] == alias and move["job_id"])
            for job_id, number in promoted.items():
                if number > 1:
                    yield Violation(DOUBLED, f"moved {alias} of {model} {number} times", job_id)


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


def _by_key(evidence: Evidence) -> dict[str, list[Answer]]:
    found: defaultdict[str, list[Answer]] = defaultdict(list)
    for said in evidence.history.answers:
        found[said.key].append(said)
    return found


def _is_disturbed(began_at: float, wait_s: float, evidence: Evidence) -> bool:
    """Whether another fault came before the job ran again: then nobody can say which of them it waited for."""
    others = [recovery.hit for recovery in evidence.recoveries if recovery.hit.began_at != began_at]
    return any(
        hit.began_at < began_at + wait_s and hit.ended_at + SHADOWS_S.get(hit.kind, 0) > began_at for hit in others
    )
