"""A training or an import leaves one version, and moves an alias at most once."""

from collections import Counter

from tests.chaos.evidence import Evidence
from tests.chaos.violation import DOUBLED, LOST, WRONG, Found, Violation


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
