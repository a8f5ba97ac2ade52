"""The position of a queued job, and the estimate of its start."""

import pytest
from flask.testing import FlaskClient

from api.services.queue_position import FORGOTTEN_AFTER_S, StartRateEstimator
from queuecast.adapters.memory.lanes import MemoryLanes
from tests.api.conftest import Gateway
from tests.api.job_states import claimed, lost, submitted

LANE = "prediction/titanic/1/predict"


def take(gateway: Gateway, count: int) -> None:
    for each in MemoryLanes(gateway.jobs).reserve(LANE, "host:7", count, clears_bell=False)[0]:
        gateway.jobs.replace(gateway.jobs.read(each.job_id).claimed("host:7", gateway.clock()))


def test_a_queued_job_has_its_position_in_the_lane(gateway: Gateway, http: FlaskClient) -> None:
    first, second = submitted(http), submitted(http)

    assert http.get(f"/v1/jobs/{first}").json["queue"] == {"position": 1, "estimated_start_at": None}
    assert http.get(f"/v1/jobs/{second}").json["queue"] == {"position": 2, "estimated_start_at": None}


def test_a_running_or_ended_job_has_no_position(gateway: Gateway, http: FlaskClient) -> None:
    job_id = submitted(http)
    running = claimed(gateway, job_id)
    while_it_runs = http.get(f"/v1/jobs/{job_id}").json["queue"]
    gateway.jobs.replace(running.succeeded(gateway.clock(), 60), b"{}")

    assert (while_it_runs, http.get(f"/v1/jobs/{job_id}").json["queue"]) == (None, None)


def test_the_start_is_estimated_from_the_rate_of_the_lane(gateway: Gateway, http: FlaskClient) -> None:
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


def test_retry_after_is_a_minute_at_most(gateway: Gateway, http: FlaskClient) -> None:
    ids = [submitted(http) for _ in range(50)]
    http.get(f"/v1/jobs/{ids[-1]}")
    take(gateway, 1)
    gateway.clock.now += 100

    assert http.get(f"/v1/jobs/{ids[-1]}").headers["Retry-After"] == "60"


def test_a_delayed_job_has_no_position_and_a_retry_after_at_the_end_of_its_delay(
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


def test_lists_and_submits_leave_the_position_out(gateway: Gateway, http: FlaskClient) -> None:
    job_id = submitted(http)

    assert http.get("/v1/jobs").json["data"][0]["queue"] is None
    assert http.post(f"/v1/jobs/{job_id}/cancel").json["queue"] is None


@pytest.mark.parametrize(
    ("samples", "jobs_per_s"),
    [
        ([(0, 0)], None),
        ([(0, 0), (0.5, 10)], None),  # too soon: a claim takes many jobs at once
        ([(0, 0), (1, 10)], 10.0),
        ([(0, 0), (10, 0)], 0.0),
        ([(0, 100), (10, 3)], None),  # the lane was empty in between
        ([(0, 0), (FORGOTTEN_AFTER_S + 1, 500)], None),
        ([(0, 0), (10, 100), (10.5, 500)], 10.0),
    ],
)
def test_a_rate_is_known_from_the_second_sample_on(samples: list[tuple[float, int]], jobs_per_s: float | None) -> None:
    rates = StartRateEstimator()

    found = [rates.note(LANE, taken, now) for now, taken in samples]

    assert found[-1] == jobs_per_s


def test_a_rate_follows_added_workers_within_a_minute() -> None:
    rates = StartRateEstimator()
    found = [rates.note(LANE, 10 * second, second) for second in range(60)]
    found += [rates.note(LANE, 600 + 40 * second, 60 + second) for second in range(60)]

    assert found[59] == pytest.approx(10)
    assert found[61] is not None and 10 < found[61] < 12
    assert found[119] is not None and 34 < found[119] < 40


def test_lanes_without_recent_samples_are_forgotten() -> None:
    rates = StartRateEstimator()
    for number in range(1000):
        rates.note(f"prediction/titanic/{number}/predict", 0, float(number))

    assert len(rates._samples) <= FORGOTTEN_AFTER_S + 2
