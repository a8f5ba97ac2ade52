"""A training or an import creates one version, and moves an alias at most once."""

from collections import Counter

from tests.chaos.evidence import Evidence
from tests.chaos.violation import DOUBLED, LOST, WRONG, Violation, Violations


def a_job_makes_one_version(evidence: Evidence) -> Violations:
    created = Counter(version.job_id for version in evidence.versions)
    for job_id, number in created.items():
        if number > 1:
            yield Violation(DOUBLED, f"created {number} versions", job_id)
    for job_id, submit in evidence.history.accepted().items():
        body = evidence.first_read.get(job_id)
        if submit.type == "prediction" or body is None or body["state"] != "succeeded":
            continue
        reported = (body["result"]["model"], body["result"]["version"])
        found = [(version.model, version.number) for version in evidence.versions if version.job_id == job_id]
        if found != [reported]:
            yield Violation(LOST, f"reported version {reported}, found {found}", job_id)


def promotions_form_a_chain(evidence: Evidence) -> Violations:
    for model, moves in evidence.moves.items():
        targets: dict[str, int | None] = {}
        for expected, move in enumerate(moves, 1):
            if move["generation"] != expected:
                yield Violation(WRONG, f"{model}: found generation {move['generation']}, expected {expected}")
            previous = targets.get(move["alias"])
            if move["previous"] != previous:
                text = f"{model}: {move['alias']} moved from {move['previous']}, expected {previous}"
                yield Violation(WRONG, text, move.get("job_id") or "")
            targets[move["alias"]] = move["version"]
        for alias in ("champion", "challenger"):
            promoted = Counter(move["job_id"] for move in moves if move["alias"] == alias and move["job_id"])
            for job_id, number in promoted.items():
                if number > 1:
                    yield Violation(DOUBLED, f"moved {alias} of {model} {number} times", job_id)
