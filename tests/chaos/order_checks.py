"""An order becomes one job or, when it was refused, none."""

from collections import defaultdict

from tests.chaos.evidence import Evidence
from tests.chaos.history import FAIL, OK, Answer, outcome_of
from tests.chaos.violation import DOUBLED, WRONG, Found, Violation

USUAL = {200, 202, 429, 503}


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


def _by_key(evidence: Evidence) -> dict[str, list[Answer]]:
    found: defaultdict[str, list[Answer]] = defaultdict(list)
    for said in evidence.history.answers:
        found[said.key].append(said)
    return found
