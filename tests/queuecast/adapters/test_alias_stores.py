"""One suite for every AliasStore, in memory and in Redis."""

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

import pytest

from queuecast.domain.errors import (
    AliasMovedError,
    ConflictError,
    GoneVersionError,
    JobStoppedError,
    PreconditionFailedError,
)
from queuecast.domain.job import Job, JobType, Progress
from queuecast.domain.model import Aliases, AliasMove
from queuecast.ports.aliases import AliasMoves, AliasStore
from queuecast.ports.jobs import IdempotencyKey, JobStore
from queuecast.ports.lanes import Lanes
from tests.queuecast.adapters.store_steps import ENDS, LOSS, WORKER, claimed, ended, started, stored, taken
from tests.queuecast.adapters.waits import at_once
from tests.queuecast.domain.records import NOW, RETENTION_S, a_job, a_move, work_of


class FollowedAliases(AliasStore, AliasMoves, Protocol):
    """The alias store of a worker."""


def test_a_model_without_aliases_has_generation_zero(aliases: AliasStore) -> None:
    assert aliases.read("titanic") == Aliases(0, {})


def test_a_model_without_aliases_has_no_history(aliases: AliasStore) -> None:
    assert aliases.history("titanic") == []


def test_each_move_increments_the_generation(aliases: AliasStore) -> None:
    aliases.move("titanic", a_move(1, 1))
    aliases.move("titanic", a_move(2, 2, "challenger"))
    aliases.move("titanic", a_move(3, 2))

    assert aliases.read("titanic") == Aliases(3, {"champion": 2, "challenger": 2})


def test_a_deletion_removes_the_alias_and_stays_in_the_history(aliases: AliasStore) -> None:
    moves = [a_move(1, 1), a_move(2, 2, "blue"), a_move(3, 2, "blue", "delete", previous=2)]
    for move in moves:
        aliases.move("titanic", move)

    assert aliases.read("titanic") == Aliases(3, {"champion": 1})
    assert aliases.history("titanic") == moves


def test_a_rebuild_knows_deletions(aliases: AliasStore) -> None:
    moves = [a_move(1, 1), a_move(2, 2, "blue"), a_move(3, 2, "blue", "delete"), a_move(4, 3, "green")]

    aliases.rebuild("titanic", moves, 0)

    assert aliases.read("titanic") == Aliases(4, {"champion": 1, "green": 3})


def test_the_history_lists_every_move_unchanged_oldest_first(aliases: AliasStore) -> None:
    moves = [
        a_move(1, 1, action="import", job_id="job_1"),
        a_move(2, 2, previous=1, reason="Zoë says so"),
        a_move(3, 1, action="rollback", previous=2),
    ]

    for move in moves:
        aliases.move("titanic", move)

    assert aliases.history("titanic") == moves


@pytest.mark.parametrize("generation", [0, 1, 2, 4, 9])
def test_a_move_from_another_generation_is_refused_and_changes_nothing(aliases: AliasStore, generation: int) -> None:
    first, second = a_move(1, 1), a_move(2, 2)
    aliases.move("titanic", first)
    aliases.move("titanic", second)

    with pytest.raises(PreconditionFailedError, match=f"at generation 2, not at {generation - 1}"):
        aliases.move("titanic", a_move(generation, 7))

    assert (aliases.read("titanic"), aliases.history("titanic")) == (Aliases(2, {"champion": 2}), [first, second])


def test_models_do_not_share_aliases(aliases: AliasStore) -> None:
    aliases.move("titanic", a_move(1, 1))
    aliases.move("wine", a_move(1, 5))

    assert (aliases.read("titanic"), aliases.read("wine")) == (Aliases(1, {"champion": 1}), Aliases(1, {"champion": 5}))


def test_an_alias_may_have_the_name_of_the_counter(aliases: AliasStore) -> None:
    aliases.move("titanic", a_move(1, 7, "generation"))

    assert aliases.read("titanic") == Aliases(1, {"generation": 7})


def test_only_one_of_two_moves_from_the_same_generation_succeeds(aliases: AliasStore) -> None:
    rivals = [a_move(1, version) for version in range(1, 9)]

    answers = at_once([moving(aliases, move) for move in rivals])

    winners = [move for move, answer in zip(rivals, answers, strict=True) if answer is None]
    assert aliases.history("titanic") == winners
    assert sum(isinstance(answer, PreconditionFailedError) for answer in answers) == 7


def test_concurrent_moves_leave_a_history_without_gaps(aliases: AliasStore) -> None:
    def promoting() -> None:
        for _ in range(20):
            present = aliases.read("titanic")
            move = a_move(present.generation + 1, present.generation + 1, previous=present.versions.get("champion"))
            try:
                aliases.move("titanic", move)
            except PreconditionFailedError:
                continue

    at_once([promoting] * 4)

    history = aliases.history("titanic")
    assert [move.previous for move in history] == [None, *(move.version for move in history[:-1])]
    assert aliases.read("titanic") == Aliases(len(history), {"champion": history[-1].version})


def test_a_model_is_listed_as_unexported_until_its_moves_are_in_the_file(aliases: Any) -> None:
    aliases.move("wine", a_move(1, 1))
    aliases.move("titanic", a_move(1, 1))
    aliases.move("titanic", a_move(2, 2))

    assert aliases.unexported() == ["titanic", "wine"]
    assert aliases.mark_exported("titanic", 2)
    assert aliases.unexported() == ["wine"]


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_model_stays_unexported_when_its_number_of_moves_differs(aliases: Any, count: int) -> None:
    aliases.move("titanic", a_move(1, 1))
    aliases.move("titanic", a_move(2, 2))

    assert not aliases.mark_exported("titanic", count)
    assert aliases.unexported() == ["titanic"]


def test_a_refused_move_does_not_mark_the_model_as_unexported(aliases: Any) -> None:
    with pytest.raises(PreconditionFailedError):
        aliases.move("titanic", a_move(2, 1))

    assert aliases.unexported() == []


def test_a_rebuild_replaces_aliases_generation_and_history(aliases: AliasStore) -> None:
    aliases.move("titanic", a_move(1, 9, "canary"))
    moves = [a_move(1, 1), a_move(2, 2, "challenger"), a_move(3, 2, previous=1)]

    aliases.rebuild("titanic", moves, 1)

    assert aliases.read("titanic") == Aliases(3, {"champion": 2, "challenger": 2})
    assert aliases.history("titanic") == moves


def test_aliases_can_move_after_a_rebuild(aliases: AliasStore) -> None:
    aliases.rebuild("titanic", [a_move(1, 1), a_move(2, 2)], 0)

    aliases.move("titanic", a_move(3, 1))

    assert aliases.read("titanic") == Aliases(3, {"champion": 1})


def test_a_rebuild_from_another_generation_is_refused_and_changes_nothing(aliases: AliasStore) -> None:
    aliases.move("titanic", a_move(1, 1))

    with pytest.raises(PreconditionFailedError, match="at generation 1, not at 0"):
        aliases.rebuild("titanic", [a_move(1, 5), a_move(2, 6)], 0)

    assert (aliases.read("titanic"), aliases.history("titanic")) == (Aliases(1, {"champion": 1}), [a_move(1, 1)])


# Moves by a run


def a_training(jobs: JobStore, lanes: Lanes) -> Job:
    """A running training."""
    return started(jobs, lanes, a_job(JobType.TRAINING))[1]


def refused(aliases: AliasStore, run: Job) -> None:
    with pytest.raises(JobStoppedError, match=f"job {run.id} was asked to stop, or another worker runs it now"):
        aliases.move("titanic", a_move(1, 1), run)
    assert (aliases.read("titanic"), aliases.history("titanic")) == (Aliases(0, {}), [])


def test_a_run_that_owns_its_job_can_move_an_alias(jobs: JobStore, lanes: Lanes, aliases: AliasStore) -> None:
    run = a_training(jobs, lanes)
    move = a_move(1, 1, action="promote", job_id=run.id)

    aliases.move("titanic", move, run)

    assert (aliases.read("titanic").versions, aliases.history("titanic")) == ({"champion": 1}, [move])


@pytest.mark.parametrize("how", ["asked to stop", "lost", "given back", "succeeded"])
def test_a_run_that_lost_its_job_cannot_move_an_alias(
    jobs: JobStore, lanes: Lanes, aliases: AliasStore, how: str
) -> None:
    run = a_training(jobs, lanes)
    moves = {
        "asked to stop": lambda: run.cancel_requested(NOW, RETENTION_S),
        "lost": lambda: run.lost(LOSS, NOW, 5.0, RETENTION_S),
        "given back": lambda: run.handed_back(NOW, RETENTION_S),
        "succeeded": lambda: run.succeeded(NOW, RETENTION_S),
    }
    jobs.replace(moves[how]())

    refused(aliases, run)


@pytest.mark.parametrize("end", ENDS)
def test_the_run_of_a_deleted_job_cannot_move_an_alias(
    jobs: JobStore, lanes: Lanes, aliases: AliasStore, end: str
) -> None:
    last = ended(jobs, lanes, end)
    jobs.delete(last.id)

    refused(aliases, last)


def test_a_run_whose_job_has_restarted_cannot_move_an_alias(jobs: JobStore, lanes: Lanes, aliases: AliasStore) -> None:
    first = a_training(jobs, lanes)
    jobs.replace(first.handed_back(NOW, RETENTION_S))
    (held,) = taken(lanes, lane=first.lane, worker="host:8")
    second = claimed(jobs, held)

    refused(aliases, first)
    aliases.move("titanic", a_move(1, 1), second)

    assert (second.attempt, aliases.read("titanic").versions) == (2, {"champion": 1})


def test_a_queued_job_cannot_move_an_alias(jobs: JobStore, aliases: AliasStore) -> None:
    refused(aliases, stored(jobs).claimed(WORKER, NOW))


def test_a_run_can_move_an_alias_after_a_progress_report(jobs: JobStore, lanes: Lanes, aliases: AliasStore) -> None:
    """The fence is the attempt and not the revision, which changes with every report."""
    run = a_training(jobs, lanes)
    jobs.replace(run.progressed(Progress(1, 2, "stages")))

    aliases.move("titanic", a_move(1, 1), run)

    assert aliases.read("titanic").versions == {"champion": 1}


def test_a_run_that_owns_its_job_gets_a_failed_precondition_for_an_old_generation(
    jobs: JobStore, lanes: Lanes, aliases: AliasStore
) -> None:
    run = a_training(jobs, lanes)
    aliases.move("titanic", a_move(1, 1))

    with pytest.raises(PreconditionFailedError):
        aliases.move("titanic", a_move(1, 2), run)


def moving(aliases: AliasStore, move: AliasMove) -> Callable[[], None]:
    return lambda: aliases.move("titanic", move)


# Deletions


def a_deletion(generation: int, version: int, action: str = "delete_version", **given: Any) -> AliasMove:
    return a_move(generation, version, "", action, **given)


def test_a_deleted_version_is_in_the_aliases_and_in_the_history(aliases: AliasStore) -> None:
    moves = [a_move(1, 1), a_move(2, 2)]
    for move in moves:
        aliases.move("titanic", move)
    deletion = a_deletion(3, 1, reason="holds names")

    aliases.delete("titanic", deletion)

    assert aliases.read("titanic") == Aliases(3, {"champion": 2}, frozenset({1}))
    assert aliases.history("titanic") == [*moves, deletion]
    assert aliases.read("wine") == Aliases()


def test_a_deleted_model_has_no_aliases_and_no_versions(aliases: AliasStore) -> None:
    moves = [a_move(1, 1), a_move(2, 3, "blue"), a_deletion(3, 3, "delete_model"), a_move(4, 4)]
    for move in moves[:2]:
        aliases.move("titanic", move)

    aliases.delete("titanic", moves[2])
    deleted = aliases.read("titanic")
    aliases.move("titanic", moves[3])

    assert deleted == Aliases(3, {}, frozenset({1, 2, 3}))
    assert aliases.read("titanic") == Aliases(4, {"champion": 4}, frozenset({1, 2, 3}))
    assert aliases.history("titanic") == moves


@pytest.mark.parametrize("generation", [1, 3])
def test_a_deletion_from_another_generation_is_refused_and_changes_nothing(
    aliases: AliasStore, generation: int
) -> None:
    aliases.move("titanic", a_move(1, 1))

    with pytest.raises(PreconditionFailedError, match=f"at generation 1, not at {generation - 1}"):
        aliases.delete("titanic", a_deletion(generation, 2))

    assert (aliases.read("titanic"), len(aliases.history("titanic"))) == (Aliases(1, {"champion": 1}), 1)


def test_a_deletion_waits_for_its_export(aliases: Any) -> None:
    aliases.delete("titanic", a_deletion(1, 2))

    assert aliases.unexported() == ["titanic"]


def test_a_rebuild_knows_deleted_versions(aliases: AliasStore) -> None:
    moves = [a_move(1, 1), a_move(2, 2), a_deletion(3, 2, "delete_model"), a_move(4, 3), a_deletion(5, 4)]

    aliases.rebuild("titanic", moves, 0)

    assert aliases.read("titanic") == Aliases(5, {"champion": 3}, frozenset({1, 2, 4}))
    assert aliases.history("titanic") == moves


NEEDY = [JobType.PREDICTION, JobType.BATCH, JobType.TRAINING]


@pytest.mark.parametrize("kind", NEEDY)
@pytest.mark.parametrize("state", ["queued", "running", "asked to stop", "delayed"])
@pytest.mark.parametrize("action", ["delete_version", "delete_model"])
def test_what_an_unfinished_job_needs_cannot_be_deleted(
    jobs: JobStore, lanes: Lanes, aliases: AliasStore, kind: JobType, state: str, action: str
) -> None:
    job = a_job(kind, version=2, metadata={"note": '{"name":"wine"}'})
    if state == "queued":
        stored(jobs, job)
    else:
        held, run = started(jobs, lanes, job)
        if state == "asked to stop":
            jobs.replace(run.cancel_requested(NOW, RETENTION_S), None, held.entry)
        elif state == "delayed":
            jobs.replace(run.lost(LOSS, NOW, 5.0, RETENTION_S), None, held.entry)

    with pytest.raises(ConflictError, match=rf"^1 job that has not ended needs .*: {job.id}$") as caught:
        aliases.delete("titanic", a_deletion(1, 2, action))

    assert caught.value.code == "in_use"
    assert (aliases.read("titanic"), aliases.history("titanic")) == (Aliases(), [])


@pytest.mark.parametrize("kind", NEEDY)
@pytest.mark.parametrize(("model", "version"), [("titanic", 1), ("titanic", 22), ("wine", 2), ("titanic2", 2)])
def test_a_job_on_another_version_does_not_keep_one(
    jobs: JobStore, aliases: AliasStore, kind: JobType, model: str, version: int
) -> None:
    stored(jobs, a_job(kind, model, version, metadata={"model": {"name": "titanic", "version": 2}}))

    aliases.delete("titanic", a_deletion(1, 2))

    assert aliases.read("titanic").deleted == {2}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("kind", NEEDY)
def test_an_ended_job_does_not_keep_its_version(
    jobs: JobStore, lanes: Lanes, aliases: AliasStore, kind: JobType, end: str
) -> None:
    ended(jobs, lanes, end, a_job(kind, version=2))

    aliases.delete("titanic", a_deletion(1, 2))

    assert aliases.read("titanic").deleted == {2}


def test_the_refusal_has_the_number_of_jobs_and_the_first_ids(jobs: JobStore, aliases: AliasStore) -> None:
    needy = [stored(jobs, a_job(version=2)) for _ in range(7)]

    with pytest.raises(ConflictError) as caught:
        aliases.delete("titanic", a_deletion(1, 2))

    first = ", ".join(job.id for job in needy[:5])
    assert caught.value.detail == f"7 jobs that have not ended need version 2 of model titanic: {first} and 2 more"


def test_the_version_of_an_import_that_has_not_ended_cannot_be_deleted(
    jobs: JobStore, lanes: Lanes, aliases: AliasStore
) -> None:
    """It has published the version, and is about to make it champion."""
    _, run = started(jobs, lanes, a_job(JobType.IMPORT, version=None))

    with pytest.raises(ConflictError, match=run.id):
        aliases.delete("titanic", a_deletion(1, 1), made_by=run.id)
    aliases.delete("titanic", a_deletion(1, 1), made_by="job_other")


def test_a_model_with_an_import_that_has_not_ended_cannot_be_deleted(jobs: JobStore, aliases: AliasStore) -> None:
    job = stored(jobs, a_job(JobType.IMPORT, version=None))

    with pytest.raises(ConflictError, match=f"needs model titanic: {job.id}"):
        aliases.delete("titanic", a_deletion(1, 1, "delete_model"))


@pytest.mark.parametrize("kind", NEEDY)
@pytest.mark.parametrize("checks_alias", [True, False])
def test_no_job_is_accepted_for_a_deleted_version(
    jobs: JobStore, lanes: Lanes, aliases: AliasStore, kind: JobType, checks_alias: bool
) -> None:
    aliases.move("titanic", a_move(1, 2))  # by the alias alone, the job would be accepted
    aliases.delete("titanic", a_deletion(2, 2))

    with pytest.raises(GoneVersionError, match="version 2 of model titanic was deleted"):
        jobs.create(a_job(kind, version=2), work_of(kind), checks_alias=checks_alias)
    assert lanes.stats() == []
    jobs.create(a_job(kind, version=1), work_of(kind))


def test_a_submit_by_an_alias_that_moved_on_from_a_deleted_version_resolves_it_again(
    jobs: JobStore, aliases: AliasStore
) -> None:
    aliases.move("titanic", a_move(1, 2))
    aliases.move("titanic", a_move(2, 3))
    aliases.delete("titanic", a_deletion(3, 2))

    with pytest.raises(AliasMovedError):
        jobs.create(a_job(version=2), work_of(JobType.PREDICTION), checks_alias=True)


def test_a_repeated_submit_finds_its_job_after_the_version_was_deleted(
    jobs: JobStore, lanes: Lanes, aliases: AliasStore
) -> None:
    key = IdempotencyKey("key", "print")
    job = a_job(version=2)
    jobs.create(job, work_of(JobType.PREDICTION), idempotency_key=key)
    jobs.replace(job.cancel_requested(NOW, RETENTION_S))
    aliases.delete("titanic", a_deletion(1, 2))

    again = jobs.create(a_job(version=2), work_of(JobType.PREDICTION), idempotency_key=key)

    assert again.job_id == job.id


def test_either_a_submit_or_a_deletion_comes_first(jobs: JobStore, lanes: Lanes, aliases: AliasStore) -> None:
    """No accepted job is left without its version."""
    for version in range(2, 22):
        generation = aliases.read("titanic").generation + 1
        job = a_job(version=version)

        submit = partial(jobs.create, job, work_of(JobType.PREDICTION))
        delete = partial(aliases.delete, "titanic", a_deletion(generation, version))

        submitted, deleted = at_once([submit, delete])

        is_deleted = version in aliases.read("titanic").deleted
        assert isinstance(submitted, GoneVersionError) is is_deleted
        assert isinstance(deleted, ConflictError) is not is_deleted


# Following the moves


def test_a_follower_sees_the_models_that_moved_since_its_place(aliases: FollowedAliases) -> None:
    aliases.move("before", a_move(1, 1))
    _, place = aliases.wait_for_moves("", 0.1)
    for model in ("titanic", "iris"):
        aliases.move(model, a_move(1, 1))
    aliases.move("titanic", a_move(2, 2))

    moved, after = aliases.wait_for_moves(place, 0.1)

    assert moved == ["titanic", "iris"]
    assert aliases.wait_for_moves(after, 0.1) == ([], after)


def test_a_follower_that_began_before_the_first_move_sees_it(aliases: FollowedAliases) -> None:
    _, place = aliases.wait_for_moves("", 0.1)

    aliases.move("titanic", a_move(1, 1))

    assert aliases.wait_for_moves(place, 0.1)[0] == ["titanic"]


def test_a_deletion_and_a_rebuild_are_moves_too(aliases: FollowedAliases) -> None:
    aliases.move("titanic", a_move(1, 1))
    _, place = aliases.wait_for_moves("", 0.1)

    aliases.delete("titanic", a_move(2, 1, "", "delete_model"))
    aliases.rebuild("iris", [a_move(1, 1)], 0)

    assert aliases.wait_for_moves(place, 0.1)[0] == ["titanic", "iris"]


def test_one_follower_claims_the_check_of_each_generation(aliases: FollowedAliases) -> None:
    claims = [aliases.claim_check("titanic", generation) for generation in (1, 1, 2, 2)]

    assert [*claims, aliases.claim_check("iris", 1)] == [True, False, True, False, True]
