"""One process of a trainer at a time runs trainings, and a process that dies loses its turn."""

import multiprocessing
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

from worker.trainings.turn import TrainingTurn

WAIT_S = 20.0


@contextmanager
def child_with(turn: TrainingTurn) -> Iterator[tuple[multiprocessing.context.ForkProcess, bool]]:
    """A forked process that asks for the turn and keeps it; whether it got it."""
    context = multiprocessing.get_context("fork")  # as Celery's pool
    ours, theirs = context.Pipe()
    child = context.Process(target=_take, args=(turn, theirs))
    child.start()
    try:
        assert ours.poll(WAIT_S)
        yield child, ours.recv()
    finally:
        child.kill()
        child.join(WAIT_S)


def _take(turn: TrainingTurn, to: Connection) -> None:
    with turn.taken() as has_turn:
        to.send(has_turn)
        signal.pause()
    os._exit(0)


def test_a_second_process_does_not_get_the_turn() -> None:
    turn = TrainingTurn()

    with child_with(turn) as (_, has_turn), child_with(turn) as (_, has_it_too):
        assert (has_turn, has_it_too) == (True, False)
        with turn.taken() as is_ours:
            assert not is_ours


def test_a_process_that_ends_gives_the_turn_back() -> None:
    turn = TrainingTurn()
    with turn.taken() as first:
        pass
    with child_with(turn) as (child, has_turn):
        child.kill()
        child.join(WAIT_S)

        with turn.taken() as again:
            assert (first, has_turn, again) == (True, True, True)
