"""Every answer of the service equals the answer of the same fitted estimator in this process."""

from pathlib import Path

from tests.chaos.evidence import Evidence
from tests.chaos.history import OK
from tests.chaos.sample_models import ANSWER_FIELDS, SampleModels, is_same
from tests.chaos.violation import WRONG, Violation, Violations


def wrong_answers(evidence: Evidence, samples: SampleModels, models: Path) -> Violations:
    """models: the folder of the published versions."""
    pinned = {answer.job_id: answer.version for answer in evidence.history.answers if answer.outcome == OK}
    for job_id, submit in evidence.history.accepted().items():
        body = evidence.first_read.get(job_id)
        if submit.type != "prediction" or body is None or body["state"] != "succeeded":
            continue
        result = body["result"]
        version = result["model"]["version"]
        if version != pinned[job_id]:
            yield Violation(WRONG, f"accepted for version {pinned[job_id]}, answered by {version}", job_id)
        expected = samples.answer(models, submit.model, version, submit.method, submit.rows)
        actual = result.get(ANSWER_FIELDS[submit.method])
        if not is_same(actual, expected):
            yield Violation(WRONG, f"answered {str(actual)[:100]}, expected {str(expected)[:100]}", job_id)
