"""Where a queued job stands and when it will start."""

import pytest
from flask.testing import FlaskClient

from api.services.queue_position import FORGOTTEN_AFTER_S, StartRateEstimator
from queuecast.adapters.memory.lanes import MemoryLanes
from tests.api.conftest import Gateway
from tests.api.job_states import claimed, lost, submitted

LANE = "prediction/titanic/1/predict"


def take(gateway: Gateway, count: int) -> None:
    for each in MemoryLanes(gateway.jobs).reserve(LANE, "host:7", count, clears_notification=False)[0]:
        gateway.jobs.replace(gateway.jobs.read(each.job_id).claimed("host:7", gateway.clock()))


def test_a_queued_job_tells_how_many_are_taken_before_it(gateway: Gateway, http: FlaskClient) -> None:
    first, second = submitted(http), submitted(http)

    assert http.get(f"/v1/jobs/{first}").json["queue"] == {"position": 1, "estimated_start_at": None}
    assert http.get(f"/v1/jobs/{second}").json["queue"] == {"position": 2, "estimated_start_at": None}


def test_a_job_that_runs_or_has_ended_has_no_place(gateway: Gateway, http: FlaskClient) -> None:
    job_id = submitted(http)
    running = claimed(gateway, job_id)
    while_it_runs = http.get(f"/v1/jobs/{job_id}").json["queue"]
    gateway.jobs.replace(running.succeeded(gateway.clock(), 60), b"{}")

    assert (while_it_runs, http.get(f"/v1/jobs/{job_id}").json["queue"]) == (None, None)


def test_the_start_is_estimated_by_how_fast_the_lane_was_taken_from(gateway: Gateway, http: FlaskClient) -> None:
    ids = [submitted(http) for _ in range(50)]
    http.get(f"/v1/jobs/{ids[-1]}")
    take(gateway, 20)
    gateway.clock.now += 10

    last = http.get(f"/v1/jobs/{ids[-1]}")

    # 20 in 10 s, so the 30th starts in 15 s.
    assert last.json["queue"] == {"position": 30, "estimated_start_at": "2023-11-14T22:13:45.000Z"}
    assert last.headers["Retry-After"] == "15"
    assert http.get(f"/v1/jobs/{ids[-1]}/result").headers["Retry-After"] == "15"
    assert http.get(f"/v1/jobs/{ids[21]}").headers["Retry-After"] == "1"


def test_nobody_is_told_to_come_back_later_than_in_a_minute(gateway: Gateway, http: FlaskClient) -> None:
    ids = [submitted(http) for _ in range(50)]
    http.get(f"/v1/jobs/{ids[-1]}")
    take(gateway, 1)
    gateway.clock.now += 100

    assert http.get(f"/v1/jobs/{ids[-1]}").headers["Retry-After"] == "60"


def test_a_job_that_waits_out_a_delay_has_no_place_and_is_worth_asking_for_afterwards(
    gateway: Gateway, http: FlaskClient
) -> None:
    job_id = submitted(http)
    lost(gateway, job_id)
    job = gateway.jobs.read(job_id)
    assert job.not_before is not None
    gateway.clock.now = job.not_before - 7

    answer = http.get(f"/v1/jobs/{job_id}")

    assert answer.json["queue"] == {"position": None, "estimated_start_at": None}
    assert answer.headers["Retry-After"] == "7"


def test_lists_and_submits_do_not_look_for_the_place(gateway: Gateway, http: FlaskClient) -> None:
    job_id = submitted(http)

    assert http.get("/v1/jobs").json["data"][0]["queue"] is None
    assert http.post(f"/v1/jobs/{job_id}/cancel").json["queue"] is None


@pytest.mark.parametrize(
    ("looks", "jobs_per_s"),
    [
        ([(0, 0)], None),
        ([(0, 0), (0.5, 10)], None),  # too soon: a claim takes many at once
        ([(0, 0), (1, 10)], 10.0),
        ([(0, 0), (10, 0)], 0.0),
        ([(0, 100), (10, 3)], None),  # the lane was empty in between
        ([(0, 0), (FORGOTTEN_AFTER_S + 1, 500)], None),
        ([(0, 0), (10, 100), (10.5, 500)], 10.0),
    ],
)
def test_a_rate_is_known_from_the_second_look_on(looks: list[tuple[float, int]], jobs_per_s: float | None) -> None:
    rates = StartRateEstimator()

    found = [rates.note(LANE, taken, now) for now, taken in looks]

    assert found[-1] == jobs_per_s


def test_a_rate_follows_the_workers_that_are_added_within_a_minute() -> None:
    rates = StartRateEstimator()
    found = [rates.note(LANE, 10 * second, second) for second in range(60)]
    found += [rates.note(LANE, 600 + 40 * second, 60 + second) for second in range(60)]

    assert found[59] == pytest.approx(10)
    assert found[61] is not None and 10 < found[61] < 12
    assert found[119] is not None and 34 < found[119] < 40


def test_lanes_that_nobody_asks_for_any_more_are_forgotten() -> None:
    rates = StartRateEstimator()
    for number in range(1000):
        rates.note(f"prediction/titanic/{number}/predict", 0, float(number))

    assert len(rates._samples) <= FORGOTTEN_AFTER_S + 2
