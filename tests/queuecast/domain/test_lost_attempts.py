"""Which errors are worth another attempt, and the wait before it."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queuecast.domain import errors
from queuecast.domain.errors import QueuecastError, StoreFullError, UnavailableError
from queuecast.domain.lost_attempts import backoff_s, is_transient

ALMOST_ONE = math.nextafter(1.0, 0.0)
KINDS = sorted(
    (kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, QueuecastError)),
    key=lambda kind: kind.__name__,
)


@pytest.mark.parametrize(("losses", "most_s"), [(1, 1), (2, 2), (3, 4), (4, 8), (5, 16), (6, 32), (7, 60), (8, 60)])
def test_the_longest_wait_doubles_up_to_the_cap(losses: int, most_s: float) -> None:
    assert backoff_s(losses, ALMOST_ONE) == pytest.approx(most_s)


@pytest.mark.parametrize("losses", [0, 1, 2, 7, 1000])
def test_without_jitter_there_is_no_wait(losses: int) -> None:
    assert backoff_s(losses, 0.0) == 0.0


@pytest.mark.parametrize("losses", [1, 3, 7, 100])
def test_the_wait_is_spread_evenly(losses: int) -> None:
    assert backoff_s(losses, 0.5) == pytest.approx(backoff_s(losses, ALMOST_ONE) / 2)


@pytest.mark.parametrize("losses", [17, 18, 1_000, 10**9])
def test_the_wait_of_a_job_that_was_lost_often_stays_below_the_cap(losses: int) -> None:
    assert backoff_s(losses, ALMOST_ONE) < 60.0


def test_a_job_that_was_not_lost_yet_waits_as_after_the_first_loss() -> None:
    assert backoff_s(0, 0.5) == backoff_s(1, 0.5)


@given(losses=st.integers(0, 10**6), jitter=st.floats(0, 1, exclude_max=True))
def test_a_wait_is_never_negative_never_endless_and_never_shorter_after_one_more_loss(
    losses: int, jitter: float
) -> None:
    wait_s, next_s = backoff_s(losses, jitter), backoff_s(losses + 1, jitter)

    assert 0 <= wait_s <= next_s < 60.0


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_only_an_outage_is_worth_another_attempt(kind: type[QueuecastError]) -> None:
    assert is_transient(kind("no")) is (kind in (UnavailableError, StoreFullError))


def test_a_full_disk_is_worth_another_attempt() -> None:
    assert is_transient(UnavailableError("no room", code="disk_full"))
