"""The checks themselves: sound evidence passes, and every alteration of it is caught."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.chaos.checks import find_violations
from tests.chaos.evidence import Evidence, Key, Version
from tests.chaos.history import FAIL, OK, UNKNOWN, Answer, Body, CancelAnswer, History, Sighting, Submit
from tests.chaos.injection import InjectedFault
from tests.chaos.plan import MEMORY_BOUND_BYTES
from tests.chaos.recovery import Recovery, record_reruns
from tests.chaos.report import report
from tests.chaos.sample_models import is_same
from tests.chaos.violation import Violation


def event(name: str, at: float, worker: str | None = None) -> Body:
    return {"event": name, "at": at, "attempt": 1, "worker": worker, "detail": None}


def job(job_id: str, key: str, type_: str = "prediction", **changes: Any) -> Body:
    """A job that succeeded on its first attempt."""
    body: Body = {
        "id": job_id,
        "type": type_,
        "state": "succeeded",
        "revision": 3,
        "attempt": 1,
        "max_attempts": 50,
        "created_at": "2026-11-21T06:00:00.000Z",
        "model": {"name": "titanic", "version": 1},
        "metadata": {"chaos": key},
        "result": {"predictions": [1]},
        "timeline": [event("accepted", 1.0), event("claimed", 1.1, "host:10"), event("finished", 1.2)],
    }
    return body | changes


def sighting(at: float, state: str, revision: int, result: str = "") -> Sighting:
    return Sighting(at, at + 0.01, state, revision, 1, result)


def sound_evidence() -> Evidence:
    """A prediction, a training that created and promoted version 2, and an import that created version 1."""
    history = History()
    training = job("job_b", "b", "training", result={"model": "titanic", "version": 2})
    pushed = job("job_c", "c", "import", result={"model": "titanic", "version": 1}, metadata={})
    bodies = [job("job_a", "a"), training, pushed]
    for body, key in zip(bodies, "abc", strict=True):
        submit = Submit(key, body["type"], "titanic")
        history.record_submit(submit)
        history.answers.append(Answer(key, OK, 1.0, 202, body["id"], 1))
        history.sightings[body["id"]] = [
            sighting(1, "queued", 1),
            sighting(2, "running", 2),
            sighting(3, "succeeded", 3, "r"),
        ]
    return Evidence(
        history,
        first_read={body["id"]: body for body in bodies},
        second_read={body["id"]: body for body in bodies},
        listed=bodies,
        versions=[Version("titanic", 1, "job_c"), Version("titanic", 2, "job_b")],
        moves={"titanic": [move(1, 1, None, "job_c"), move(2, 2, 1, "job_b")]},
        keys=[Key("qc:job:job_a", "hash", 86_000, 900), Key("qc:jobs", "zset", None, 100)],
        recoveries=[Recovery(InjectedFault("kill_worker", 10, 10, victims=("10",), is_kill=True), "job_a", 0.2)],
        lease_s=4,
    )


def move(generation: int, version: int, previous: int | None, job_id: str) -> Body:
    alias = {"alias": "champion", "version": version, "previous": previous}
    return {"generation": generation, "job_id": job_id, **alias}


def found_in(evidence: Evidence) -> list[tuple[str, str]]:
    return [(violation.kind, violation.job_id) for violation in find_violations(evidence)]


def change_job(evidence: Evidence, job_id: str, **changes: Any) -> None:
    """Changes the job in every read, as if the service had always reported it so."""
    body = evidence.first_read[job_id] | changes
    evidence.first_read[job_id] = evidence.second_read[job_id] = body
    evidence.listed = [body if each["id"] == job_id else each for each in evidence.listed]


def accept(evidence: Evidence, key: str, job_id: str) -> None:
    evidence.history.answers.append(Answer(key, OK, 2.0, 202, job_id, 1))
    evidence.first_read[job_id] = evidence.second_read[job_id] = job(job_id, key)


def test_sound_evidence_passes() -> None:
    assert find_violations(sound_evidence()) == []


def forget_the_job(evidence: Evidence) -> None:
    evidence.first_read["job_a"] = evidence.second_read["job_a"] = None


def leave_running(evidence: Evidence) -> None:
    change_job(evidence, "job_a", state="running")


def fail_the_job(evidence: Evidence) -> None:
    change_job(evidence, "job_a", state="failed", result=None, error={"code": "worker_lost", "detail": ""})


def expire_the_job(evidence: Evidence) -> None:
    change_job(evidence, "job_a", state="expired", result=None)


def change_the_result(evidence: Evidence) -> None:
    evidence.second_read["job_a"] = job("job_a", "a", result={"predictions": [0]})


def show_another_result(evidence: Evidence) -> None:
    evidence.history.sightings["job_a"].append(sighting(4, "succeeded", 3, "other"))


def leave_a_final_state(evidence: Evidence) -> None:
    evidence.history.sightings["job_a"].append(sighting(4, "running", 4))


def show_an_older_revision(evidence: Evidence) -> None:
    evidence.history.sightings["job_a"].insert(2, sighting(2.5, "queued", 1))


def accept_a_key_twice(evidence: Evidence) -> None:
    accept(evidence, "a", "job_d")


def replay_without_marking_it(evidence: Evidence) -> None:
    evidence.history.answers.append(Answer("a", OK, 2.0, 202, "job_a", 1))


def accept_a_key_for_another_body(evidence: Evidence) -> None:
    evidence.history.record_key_reuse("a", 202)


def list_a_second_job(evidence: Evidence) -> None:
    evidence.listed.append(job("job_d", "a"))


def create_a_job_for_a_refused_submit(evidence: Evidence) -> None:
    evidence.history.record_submit(Submit("d", "prediction", "titanic"))
    evidence.history.answers.append(Answer("d", FAIL, 2.0, 503))
    evidence.listed.append(job("job_d", "d"))


def answer_with_an_internal_error(evidence: Evidence) -> None:
    evidence.history.answers.append(Answer("a", UNKNOWN, 2.0, 500))


def create_a_second_version(evidence: Evidence) -> None:
    evidence.versions.append(Version("titanic", 3, "job_b"))


def lose_the_version(evidence: Evidence) -> None:
    evidence.versions.pop()


def promote_twice(evidence: Evidence) -> None:
    evidence.moves["titanic"].append(move(3, 2, 2, "job_b"))


def break_the_chain_of_moves(evidence: Evidence) -> None:
    evidence.moves["titanic"][1] = move(2, 2, None, "job_b")


def skip_a_generation(evidence: Evidence) -> None:
    evidence.moves["titanic"][1] = move(3, 2, 1, "job_b")


def finish_a_canceled_job(evidence: Evidence) -> None:
    evidence.history.cancel_answers.append(CancelAnswer("job_a", 200, "canceled", 0))


def run_after_the_cancel(evidence: Evidence) -> None:
    submit = replace(evidence.history.submits["a"], is_canceled=True)
    evidence.history.submits["a"] = submit
    evidence.history.cancel_answers.append(CancelAnswer("job_a", 200, "canceled", 0))
    change_job(evidence, "job_a", state="canceled", attempt=1)


def finish_twice(evidence: Evidence) -> None:
    change_job(evidence, "job_a", timeline=[event("claimed", 1), event("finished", 2), event("finished", 3)])


def leave_a_lane(evidence: Evidence) -> None:
    evidence.keys.append(Key("qc:lane:predict:titanic", "stream", None, 900))


def leave_a_bell(evidence: Evidence) -> None:
    evidence.keys.append(Key("qc:bells", "hash", None, 90))


def leave_a_lock(evidence: Evidence) -> None:
    evidence.keys.append(Key("qc:training:titanic", "string", None, 90))


def keep_an_ended_batch_scheduled(evidence: Evidence) -> None:
    evidence.keys.append(Key("qc:batches", "hash", None, 90))


def keep_batch_progress_without_ttl(evidence: Evidence) -> None:
    evidence.keys.append(Key("qc:batch:job_a:1", "hash", None, 90))


def keep_a_chunk_without_ttl(evidence: Evidence) -> None:
    evidence.keys.append(Key("qc:job:chunk_a_1_0", "hash", None, 90))


def leave_an_unacknowledged_message(evidence: Evidence) -> None:
    evidence.keys.append(Key("unacked_index", "zset", None, 90))


def leave_a_doorbell_message(evidence: Evidence) -> None:
    evidence.keys.append(Key("train", "list", None, 90))


def leave_an_unknown_key(evidence: Evidence) -> None:
    evidence.keys.append(Key("chaos:junk", "string", None, 90))


def keep_a_record_without_ttl(evidence: Evidence) -> None:
    evidence.keys.append(Key("qc:job:job_b", "hash", None, 900))


def leave_a_record_of_an_unknown_job(evidence: Evidence) -> None:
    evidence.keys.append(Key("qc:job:job_z", "hash", 100, 900))


def leave_an_incomplete_version(evidence: Evidence) -> None:
    evidence.unfinished.append("models/titanic/.incoming-x")


def grow_memory(evidence: Evidence) -> None:
    evidence.end_memory_bytes = evidence.start_memory_bytes + MEMORY_BOUND_BYTES + 1


def lose_the_canary(evidence: Evidence) -> None:
    evidence.recoveries[0].canary_s = None


def run_again_late(evidence: Evidence) -> None:
    evidence.recoveries[0].rerun_s = [30.0]


def poison_without_a_dead_letter(evidence: Evidence) -> None:
    evidence.history.submits["a"] = replace(evidence.history.submits["a"], is_poisoned=True)
    change_job(evidence, "job_a", state="failed", max_attempts=3, attempt=3, error={"code": "worker_lost"}, result=None)


@pytest.mark.parametrize(
    ("alter", "kind"),
    [
        (forget_the_job, "lost"),
        (leave_running, "stuck"),
        (fail_the_job, "lost"),
        (expire_the_job, "lost"),
        (change_the_result, "wrong"),
        (show_another_result, "wrong"),
        (leave_a_final_state, "wrong"),
        (show_an_older_revision, "wrong"),
        (accept_a_key_twice, "doubled"),
        (replay_without_marking_it, "wrong"),
        (accept_a_key_for_another_body, "doubled"),
        (list_a_second_job, "doubled"),
        (create_a_job_for_a_refused_submit, "wrong"),
        (answer_with_an_internal_error, "wrong"),
        (create_a_second_version, "doubled"),
        (lose_the_version, "lost"),
        (promote_twice, "doubled"),
        (break_the_chain_of_moves, "wrong"),
        (skip_a_generation, "wrong"),
        (finish_a_canceled_job, "wrong"),
        (run_after_the_cancel, "wrong"),
        (finish_twice, "wrong"),
        (leave_a_lane, "stuck"),
        (leave_a_bell, "stuck"),
        (leave_a_lock, "stuck"),
        (keep_an_ended_batch_scheduled, "stuck"),
        (keep_batch_progress_without_ttl, "stuck"),
        (keep_a_chunk_without_ttl, "stuck"),
        (leave_an_unacknowledged_message, "stuck"),
        (leave_a_doorbell_message, "stuck"),
        (leave_an_unknown_key, "stuck"),
        (keep_a_record_without_ttl, "stuck"),
        (leave_a_record_of_an_unknown_job, "stuck"),
        (leave_an_incomplete_version, "stuck"),
        (grow_memory, "stuck"),
        (lose_the_canary, "stuck"),
        (run_again_late, "stuck"),
        (poison_without_a_dead_letter, "lost"),
    ],
)
def test_altered_evidence_is_caught(alter: Callable[[Evidence], None], kind: str) -> None:
    evidence = sound_evidence()
    alter(evidence)

    assert kind in {caught_kind for caught_kind, _ in found_in(evidence)}


def test_a_violation_names_its_job() -> None:
    evidence = sound_evidence()
    forget_the_job(evidence)

    assert ("lost", "job_a") in found_in(evidence)


def test_an_older_revision_in_overlapping_reads_is_no_violation() -> None:
    evidence = sound_evidence()
    evidence.history.sightings["job_a"].append(Sighting(1.5, 3.5, "queued", 1, 0))

    assert find_violations(evidence) == []


def test_a_late_rerun_is_no_violation_if_another_fault_may_have_delayed_it() -> None:
    evidence = sound_evidence()
    run_again_late(evidence)
    evidence.recoveries.append(Recovery(InjectedFault("freeze_redis", 11, 15), "job_a", 0.1))

    assert find_violations(evidence) == []


def test_the_wait_of_a_killed_workers_job_is_read_from_its_timeline() -> None:
    recovery = Recovery(InjectedFault("kill_worker", 10.0, 10.0, victims=("worker1", "4711"), is_kill=True))
    claims = [event("claimed", 9.0, "host:4711"), event("lost", 14.0), event("claimed", 15.5, "host:99")]

    record_reruns([recovery], [job("job_a", "a", timeline=claims), job("job_b", "b")])

    assert recovery.rerun_s == [5.5]


def test_the_report_shows_each_violation_with_its_timeline_and_counts_them() -> None:
    text = report(
        sound_evidence(), [Violation("lost", "the job is gone", "job_a"), Violation("stuck", "a lane is left")]
    )

    assert "LOST     job_a  the job is gone\n         +   0.00 s  accepted" in text
    assert text.endswith("1 lost / 0 doubled / 1 stuck / 0 wrong")


def test_a_submit_that_was_first_unanswered_and_then_refused_may_have_become_a_job() -> None:
    evidence = sound_evidence()
    create_a_job_for_a_refused_submit(evidence)
    evidence.history.answers.append(Answer("d", UNKNOWN, 2.0))

    assert find_violations(evidence) == []


@pytest.mark.parametrize(
    ("found", "expected", "same"),
    [
        ([1, 0], [1, 0], True),
        ([1, 0], [1, 1], False),
        ([[0.5, 0.5]], [[0.5, 0.5 * (1 + 5e-10)]], True),
        ([[0.5, 0.5]], [[0.5, 0.5 * (1 + 2e-9)]], False),
        ([0.5], [0.5, 0.5], False),
        (None, [1], False),
        (["a"], ["a"], True),
    ],
)
def test_labels_must_be_identical_and_floats_almost_equal(found: Any, expected: Any, same: bool) -> None:
    assert is_same(found, expected) is same
