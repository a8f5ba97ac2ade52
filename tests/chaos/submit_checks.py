"""An accepted submit becomes one job; a refused submit becomes none."""

from collections import defaultdict

from tests.chaos.evidence import Evidence
from tests.chaos.history import FAIL, OK, Answer, outcome_of
from tests.chaos.violation import DOUBLED, WRONG, Violation, Violations

EXPECTED_STATUSES = {200, 202, 429, 503}


def one_key_is_one_job(evidence: Evidence) -> Violations:
    for answers in _by_key(evidence).values():
        ids = sorted({answer.job_id for answer in answers if answer.outcome == OK})
        if len(ids) > 1:
            yield Violation(DOUBLED, f"one Idempotency-Key became {len(ids)} jobs: {', '.join(ids)}", ids[0])
        originals = [answer for answer in answers if answer.outcome == OK and not answer.is_replay]
        if len(ids) == 1 and len(originals) > 1:
            yield Violation(WRONG, f"{len(originals)} answers to one key are not marked as replays", ids[0])
    for key, status in evidence.history.key_reuses:
        if status in (200, 202):
            yield Violation(DOUBLED, f"the Idempotency-Key {key} was also accepted for a different body")


def every_job_has_one_submit(evidence: Evidence) -> Violations:
    """The service lists no job for a refused submit, and at most one per submit even if no client got the answer."""
    named = {submit.model: key for key, submit in evidence.history.submits.items() if submit.type == "import"}
    by_key = _by_key(evidence)
    jobs: defaultdict[str, list[str]] = defaultdict(list)
    for body in evidence.listed:
        if body.get("retry_of"):
            continue
        key = named.get(body["model"]["name"]) if body["type"] == "import" else body["metadata"].get("chaos")
        if key not in evidence.history.submits:
            yield Violation(WRONG, f"a {body['type']} without a submit", body["id"])
        else:
            jobs[key].append(body["id"])
    for key, ids in jobs.items():
        known = {answer.job_id for answer in by_key.get(key, []) if answer.outcome == OK}
        if len(ids) > 1 and not known.issuperset(ids):  # one_key_is_one_job reports ids that a client received
            yield Violation(DOUBLED, f"submit {key} became {len(ids)} jobs: {', '.join(sorted(ids))}", ids[0])
        if by_key.get(key) and outcome_of(by_key[key]) == FAIL:
            statuses = sorted({answer.status for answer in by_key[key]})
            yield Violation(WRONG, f"the gateway refused the submit ({statuses}) but created a job", ids[0])


def refusals_have_expected_statuses(evidence: Evidence) -> Violations:
    for answer in evidence.history.answers:
        submit = evidence.history.submits[answer.key]
        expected = EXPECTED_STATUSES | {409} if submit.type == "training" else EXPECTED_STATUSES
        if answer.status and answer.status not in expected:
            yield Violation(
                WRONG, f"a {submit.type} was answered with {answer.status}: {answer.detail[:200]}", answer.job_id
            )


def _by_key(evidence: Evidence) -> dict[str, list[Answer]]:
    by_key: defaultdict[str, list[Answer]] = defaultdict(list)
    for answer in evidence.history.answers:
        by_key[answer.key].append(answer)
    return by_key
