"""The invariants of a job under any moves in any order."""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from queuecast.domain.errors import IllegalMoveError
from queuecast.domain.job import Job, Progress, State
from queuecast.domain.timeline import MAX_EVENTS, Event
from tests.queuecast.domain.job_states import FAILURE, LOSS
from tests.queuecast.domain.records import NOW, RETENTION_S, a_job

WORKERS = st.sampled_from(["host:1", "host:2"])


class JobLife(RuleBasedStateMachine):
    """One job under every possible move. A refused move changes nothing."""

    job: Job

    @initialize(max_attempts=st.integers(1, 3))
    def accept(self, max_attempts: int) -> None:
        self.job = a_job(max_attempts=max_attempts).accepted()
        self.now = NOW
        self.claims = self.losses = 0

    def move(self, name: str, *args: Any) -> bool:
        """Whether the move was allowed and changed something."""
        before = self.job
        self.now += 1
        try:
            after: Job = getattr(before, name)(*args)
        except IllegalMoveError:
            return False
        if after is before:
            return False
        assert not before.is_final, f"{name} moved a job that had ended as {before.state}"
        assert after.revision == before.revision + 1
        self.job = after
        return True

    @precondition(lambda self: self.job.state is State.QUEUED)  # most of a life is claims and their ends
    @rule(worker=WORKERS)
    def claim(self, worker: str) -> None:
        self.claims += self.move("claimed", worker, self.now)

    @rule(worker=WORKERS)
    def claim_again(self, worker: str) -> None:
        self.claims += self.move("claimed", worker, self.now)

    @rule(delay_s=st.floats(0, 60))
    def lose(self, delay_s: float) -> None:
        was_running = self.job.state is State.RUNNING
        self.losses += self.move("lost", LOSS, self.now, delay_s, RETENTION_S) and was_running

    @rule()
    def give_back(self) -> None:
        self.move("handed_back", self.now, RETENTION_S)

    @rule(done=st.integers(0, 5))
    def report(self, done: int) -> None:
        self.move("progressed", Progress(done, 5, "stages"))

    @rule(name=st.sampled_from(["cancel_requested", "stopped", "expired", "succeeded"]))
    def end(self, name: str) -> None:
        self.move(name, self.now, RETENTION_S)

    @rule()
    def fail(self) -> None:
        self.move("failed", FAILURE, self.now, RETENTION_S)

    @invariant()
    def attempts_are_counted(self) -> None:
        assert (self.job.attempt, self.job.lost_attempts) == (self.claims, self.losses)

    @invariant()
    def attempts_are_bounded(self) -> None:
        has_used_up_all = self.job.lost_attempts == self.job.max_attempts
        assert self.job.lost_attempts <= self.job.max_attempts
        assert self.job.is_dead_letter is has_used_up_all
        assert not has_used_up_all or self.job.state is State.FAILED

    @invariant()
    def an_end_is_dated_and_nothing_else_is(self) -> None:
        assert (self.job.finished_at is not None) is self.job.is_final
        assert (self.job.delete_at is not None) is self.job.is_final

    @invariant()
    def only_a_failure_has_a_reason(self) -> None:
        assert (self.job.failure is not None) is (self.job.state is State.FAILED)

    @invariant()
    def only_a_waiting_job_waits_out_a_delay(self) -> None:
        assert self.job.not_before is None or self.job.state is State.QUEUED

    @invariant()
    def a_run_has_a_worker_and_a_waiting_job_has_none(self) -> None:
        if self.job.state in (State.RUNNING, State.CANCELING, State.QUEUED):
            assert (self.job.worker is None) is (self.job.state is State.QUEUED)

    @invariant()
    def the_timeline_is_in_order_bounded_and_begins_at_the_beginning(self) -> None:
        timeline = self.job.timeline
        assert timeline[0].event is Event.ACCEPTED
        assert len(timeline) <= MAX_EVENTS
        assert [entry.at for entry in timeline] == sorted(entry.at for entry in timeline)
        assert self.job.is_final is (timeline[-1].event is Event.FINISHED)


JobLife.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestJobLife = JobLife.TestCase
