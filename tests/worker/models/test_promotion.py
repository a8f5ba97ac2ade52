"""Aliases move by compare-and-set: a move of the same alias in between wins, a move of another one does not."""

from collections.abc import Callable

import pytest

from queuecast.adapters.memory.aliases import MemoryAliases
from queuecast.adapters.memory.jobs import MemoryJobs
from queuecast.domain.errors import JobStoppedError, PreconditionFailedError
from queuecast.domain.job import Job, JobType, ModelRef
from queuecast.domain.model import CHALLENGER, CHAMPION, Aliases, AliasMove, Manifest
from queuecast.domain.signature import Layout, Signature
from queuecast.domain.work import Method, TrainingWork
from worker.models.promotion import move_alias

MODEL = "model"
SIGNATURE = Signature(Layout.FRAME, (), (Method.PREDICT,))


def _version(number: int) -> Manifest:
    return Manifest(MODEL, number, "0" * 64, 10, 1.0, f"job_{number}", "training", "Estimator()", {}, SIGNATURE)


def _set(aliases: MemoryAliases, alias: str, version: int) -> None:
    present = aliases.read(MODEL)
    aliases.move(
        MODEL, AliasMove(present.generation + 1, alias, version, present.versions.get(alias), 5.0, "set", "by hand")
    )


def _run(number: int) -> Job:
    """The run that made version `number`."""
    job = Job(f"job_{number}", JobType.TRAINING, ModelRef(MODEL, 1), 1.0, 3, "training", 60.0)
    return job.accepted().claimed("worker-1", 2.0)


def _promoted(
    aliases: MemoryAliases, version: int, expected: int | None, alias: str = CHAMPION, run: Job | None = None
) -> bool:
    return move_alias(
        aliases,
        _version(version),
        expected=expected,
        at=7.0,
        action="training",
        reason="better",
        alias=alias,
        run=run or _run(version),
    )


class OvertakenAliases(MemoryAliases):
    """Another writer moves an alias between the first read of `promote` and its move."""

    def __init__(self, write: Callable[[MemoryAliases], None]) -> None:
        super().__init__()
        self._write: Callable[[MemoryAliases], None] | None = None
        self._armed = write

    def arm(self) -> None:
        self._write = self._armed

    def read(self, model: str) -> Aliases:
        seen = super().read(model)
        write, self._write = self._write, None
        if write is not None:
            write(self)
        return seen


@pytest.mark.parametrize(
    ("standing", "expected", "moves"),
    [(None, None, True), (1, 1, True), (1, None, False), (3, 1, False), (None, 1, False)],
)
def test_an_alias_moves_only_from_the_expected_version(standing: int | None, expected: int | None, moves: bool) -> None:
    aliases = MemoryAliases()
    if standing is not None:
        _set(aliases, CHAMPION, standing)

    assert _promoted(aliases, 2, expected) is moves
    assert aliases.read(MODEL).versions.get(CHAMPION) == (2 if moves else standing)


def test_a_move_is_in_the_audit_trail_with_all_its_facts() -> None:
    aliases = MemoryAliases()
    _set(aliases, CHAMPION, 1)

    _promoted(aliases, 2, 1)

    assert aliases.history(MODEL)[-1] == AliasMove(2, CHAMPION, 2, 1, 7.0, "training", "better", "job_2")


def test_a_refused_move_is_not_in_the_audit_trail() -> None:
    aliases = MemoryAliases()
    _set(aliases, CHAMPION, 3)

    _promoted(aliases, 2, 1)

    assert [move.version for move in aliases.history(MODEL)] == [3]


def test_a_move_of_another_alias_does_not_move_the_champion() -> None:
    aliases = MemoryAliases()
    _set(aliases, CHAMPION, 1)

    assert _promoted(aliases, 2, None, CHALLENGER)
    assert aliases.read(MODEL).versions == {CHAMPION: 1, CHALLENGER: 2}


def test_a_champion_moved_by_a_person_between_read_and_write_stays() -> None:
    aliases = OvertakenAliases(lambda store: _set(store, CHAMPION, 9))
    _set(aliases, CHAMPION, 1)
    aliases.arm()

    assert _promoted(aliases, 2, 1) is False
    assert aliases.read(MODEL).versions == {CHAMPION: 9}


def test_a_move_of_another_alias_between_read_and_write_does_not_stop_a_promotion() -> None:
    aliases = OvertakenAliases(lambda store: _set(store, CHALLENGER, 9))
    _set(aliases, CHAMPION, 1)
    aliases.arm()

    assert _promoted(aliases, 2, 1) is True
    assert aliases.read(MODEL).versions == {CHAMPION: 2, CHALLENGER: 9}


def test_only_one_of_two_first_versions_becomes_champion() -> None:
    aliases = OvertakenAliases(lambda store: _set(store, CHAMPION, 1))
    aliases.arm()

    assert _promoted(aliases, 2, None) is False
    assert aliases.read(MODEL).versions == {CHAMPION: 1}


def test_a_stale_generation_cannot_move_an_alias() -> None:
    aliases = MemoryAliases()
    _set(aliases, CHAMPION, 1)

    with pytest.raises(PreconditionFailedError):
        aliases.move(MODEL, AliasMove(1, CHAMPION, 2, None, 7.0, "set"))


# A run that is repeated


def test_a_repeated_promotion_moves_the_alias_once() -> None:
    aliases = MemoryAliases()
    _set(aliases, CHAMPION, 1)

    moved = [_promoted(aliases, 2, 1) for _ in range(3)]

    assert moved == [True, True, True]
    assert [move.version for move in aliases.history(MODEL)] == [1, 2]


def test_a_move_by_a_person_between_two_runs_of_a_job_stays() -> None:
    aliases = MemoryAliases()
    _set(aliases, CHAMPION, 1)
    _promoted(aliases, 2, 1)
    _set(aliases, CHAMPION, 1)  # back to the version that the job expects

    assert _promoted(aliases, 2, 1) is True
    assert aliases.read(MODEL).versions == {CHAMPION: 1}


def test_a_job_that_moved_one_alias_may_move_another() -> None:
    aliases = MemoryAliases()
    _set(aliases, CHAMPION, 1)
    _promoted(aliases, 2, None, CHALLENGER)

    assert _promoted(aliases, 2, 1) is True
    assert aliases.read(MODEL).versions == {CHAMPION: 2, CHALLENGER: 2}


def _owned() -> tuple[MemoryJobs, MemoryAliases, Job]:
    """A run that owns its job, and aliases that check the ownership."""
    jobs = MemoryJobs()
    aliases = MemoryAliases(jobs)
    queued = Job("job_2", JobType.TRAINING, ModelRef(MODEL, 1), 1.0, 3, "training", 60.0).accepted()
    jobs.create(queued, TrainingWork("file_1", "0" * 64, ("y",), {}))
    run = queued.claimed("worker-1", 2.0)
    jobs.replace(run)
    _set(aliases, CHAMPION, 1)
    return jobs, aliases, run


def test_a_run_that_owns_its_job_moves_the_alias() -> None:
    _, aliases, run = _owned()

    assert _promoted(aliases, 2, 1, run=run)


@pytest.mark.parametrize(
    "change",
    [
        lambda job: job.cancel_requested(3.0, 60.0),
        lambda job: job.handed_back(3.0, 60.0),
        lambda job: job.succeeded(3.0, 60.0),
    ],
    ids=["canceling", "given back", "ended"],
)
def test_a_run_that_no_longer_owns_its_job_moves_nothing(change: Callable[[Job], Job]) -> None:
    jobs, aliases, run = _owned()
    jobs.replace(change(run))

    with pytest.raises(JobStoppedError):
        _promoted(aliases, 2, 1, run=run)
    assert aliases.read(MODEL).versions == {CHAMPION: 1}


def test_only_the_later_of_two_runs_of_a_job_moves_the_alias() -> None:
    jobs, aliases, first = _owned()
    back = first.handed_back(3.0, 60.0)
    jobs.replace(back)
    second = back.claimed("worker-2", 4.0)
    jobs.replace(second)

    with pytest.raises(JobStoppedError):
        _promoted(aliases, 2, 1, run=first)
    assert _promoted(aliases, 2, 1, run=second)
    assert [move.job_id for move in aliases.history(MODEL)] == [None, "job_2"]
