"""Every answer that was given is the one that the same fitted estimator gives here, in process."""

from pathlib import Path

from tests.chaos.evidence import Evidence
from tests.chaos.history import OK
from tests.chaos.sample_models import ANSWER_FIELDS, Zoo, is_same
from tests.chaos.violation import WRONG, Found, Violation


def wrong_answers(evidence: Evidence, zoo: Zoo, models: Path) -> Found:
    """models: the folder of the published versions."""
    pinned = {said.job_id: said.version for said in evidence.history.answers if said.outcome == OK}
    for job_id, order in evidence.history.accepted().items():
        body = evidence.first.get(job_id)
        if order.type != "prediction" or body is None or body["state"] != "succeeded":
            continue
        result = body["result"]
        version = result["model"]["version"]
        if version != pinned[job_id]:
            yield Violation(WRONG, f"accepted for version {pinned[job_id]}, answered by {version}", job_id)
        expected = zoo.answer(models, order.model, version, order.method, order.rows)
        found = result.get(ANSWER_FIELDS[order.method])
        if not is_same(found, expected):
            yield Violation(WRONG, f"answered {str(found)[:100]}, in process it is {str(expected)[:100]}", job_id)
