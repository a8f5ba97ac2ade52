"""`queuecast jobs`, `job`, `retry`, `queues` and `dead-letters`."""

import json
from typing import Any

import pytest

from tests.queuecast.cli.command_line import (
    JOB,
    PREDICTED,
    TRAINED,
    lines,
    lines_without_control,
    run,
    seen_in_a_terminal,
)
from tests.queuecast.scripted_gateway import Answer, ScriptedGateway, job, problem

# jobs


def test_jobs_sends_its_filters_and_lists_the_jobs(gateway: ScriptedGateway) -> None:
    running = job(
        "running",
        id="job_2",
        type="training",
        started_at="2026-01-31T12:00:01.000Z",
        progress={"done": 2, "total": 7, "unit": "stages"},
    )
    gateway.on("GET /v1/jobs", {"data": [running, job()], "next_cursor": None})

    result = run(gateway, "jobs", "--state", "running", "--type", "training", "--model", "titanic", "--limit", "5")

    assert gateway.requests[0].query == {"state": "running", "type": "training", "model": "titanic", "limit": "5"}
    rows = lines(result.stdout)
    assert rows[0] == ["JOB", "TYPE", "STATE", "MODEL", "AGE", "TOOK", "PROGRESS"]
    assert rows[1][:5] == ["job_2", "training", "running", "titanic", "3"]
    assert rows[1][-2:] == ["2/7", "stages"]


def test_jobs_as_json_are_a_list(gateway: ScriptedGateway) -> None:
    gateway.on("GET /v1/jobs", {"data": [job()], "next_cursor": None})

    assert json.loads(run(gateway, "jobs", "--json").stdout) == [job()]


def test_show_prints_why_a_job_failed(gateway: ScriptedGateway) -> None:
    gateway.on(JOB, job("failed", error={"title": "The run took too long", "code": "timeout", "detail": "300 s"}))

    result = run(gateway, "jobs", "show", "job_1")

    assert result.exit_code == 0
    assert ["error", "The", "run", "took", "too", "long:", "300", "s"] in lines(result.stdout)


def test_show_ends_with_the_result(gateway: ScriptedGateway) -> None:
    gateway.on(JOB, PREDICTED)

    assert ["1", "lived"] in lines(run(gateway, "jobs", "show", "job_1").stdout)


def test_wait_ends_with_the_result(gateway: ScriptedGateway) -> None:
    gateway.on(JOB, job(), PREDICTED | {"revision": 2})

    assert lines(run(gateway, "jobs", "wait", "job_1").stdout)[2] == ["1", "lived"]


def test_cancel_prints_the_new_state(gateway: ScriptedGateway) -> None:
    gateway.on(JOB, job("running"))
    gateway.on("POST /v1/jobs/job_1/cancel", Answer(job("canceling"), 202))

    assert run(gateway, "jobs", "cancel", "job_1").stdout == "job_1 canceling\n"


def test_a_narrow_terminal_never_shortens_an_id(gateway: ScriptedGateway) -> None:
    long_id = "job_01a1fc6b-60f4-743e-b4c9-8b4bcef7e7d2"
    gateway.on("GET /v1/jobs", {"data": [job("succeeded", id=long_id)], "next_cursor": None})

    seen = seen_in_a_terminal(gateway, "jobs")

    assert long_id in seen
    assert "succeeded" in seen


def test_a_terminal_shows_state_stage_and_progress_while_waiting(gateway: ScriptedGateway) -> None:
    progress = {"done": 2, "total": 7, "unit": "stages", "stage": "fit", "rows": 713}
    gateway.on(
        JOB,
        job("running", type="training", progress=progress),
        job("succeeded", revision=2, type="training", result=TRAINED),
    )

    seen = seen_in_a_terminal(gateway, "jobs", "wait", "job_1")

    assert "training running, fit (713 rows)" in seen
    assert "2/7 stages" in seen
    assert "Promoted titanic version 4 to champion" in seen


WORKER = "5c3f0a2b91d4.9f3ab1:17"


def entry(event: str, at: str, attempt: int, worker: str | None = None, detail: str = "") -> dict[str, Any]:
    at = f"2026-01-31T12:00:{at}Z"
    return {"event": event, "at": at, "attempt": attempt, "worker": worker, "detail": detail}


TIMELINE = [
    entry("accepted", "00.000", 0),
    entry("claimed", "00.004", 1, WORKER),
    entry("lost", "30.100", 1, WORKER, f"worker {WORKER} sent no heartbeat for 30 s"),
    entry("retried", "30.100", 1, None, "after 0.5 s"),
    entry("claimed", "31.000", 2, WORKER),
    entry("given_back", "35.500", 2, WORKER),
]
RETRIED = job("queued", attempt=2, lost_attempts=1, max_attempts=3, timeline=TIMELINE)


@pytest.mark.parametrize("command", [["job"], ["jobs", "show"]], ids=" ".join)
def test_a_job_is_shown_with_its_timeline(gateway: ScriptedGateway, command: list[str]) -> None:
    gateway.on(JOB, RETRIED)

    rows = lines(run(gateway, *command, "job_1").stdout)

    assert ["AFTER", "EVENT", "ATTEMPT", "WORKER"] in rows
    assert ["0", "ms", "accepted", "-"] in rows
    assert ["4", "ms", "claimed", "1", WORKER] in rows
    assert ["30.1", "s", "lost", "1", WORKER, *f"worker {WORKER} sent no heartbeat for 30 s".split()] in rows
    assert ["30.1", "s", "retried", "1", "after", "0.5", "s"] in rows
    assert ["35.5", "s", "given", "back", "2", WORKER] in rows


def test_lost_attempts_are_counted_separately(gateway: ScriptedGateway) -> None:
    gateway.on(JOB, RETRIED, RETRIED | {"lost_attempts": 0})

    first, second = [lines(run(gateway, "job", "job_1").stdout) for _ in range(2)]

    assert ["attempt", *["2", "(1", "of", "at", "most", "3", "lost)"]] in first
    assert ["attempt", "2"] in second


def test_a_job_between_attempts_shows_the_next_one_and_no_duration(gateway: ScriptedGateway) -> None:
    waiting = RETRIED | {"not_before": "2026-01-31T12:00:36.000Z", "started_at": "2026-01-31T12:00:31.000Z"}
    gateway.on(JOB, waiting)

    rows = lines(run(gateway, "job", "job_1").stdout)

    assert ["next", "attempt", "2026-01-31T12:00:36.000Z"] in rows
    assert [row for row in rows if row[:1] == ["took"]] == []


def test_a_narrow_terminal_omits_the_workers(gateway: ScriptedGateway) -> None:
    gateway.on(JOB, RETRIED)

    narrow, wide = [seen_in_a_terminal(gateway, "job", "job_1", columns=columns) for columns in (60, 80)]

    assert ("WORKER" in narrow, "WORKER" in wide) == (False, True)
    assert max(map(len, lines_without_control(narrow))) <= 60


def test_a_job_without_a_timeline_is_shown_without_one(gateway: ScriptedGateway) -> None:
    gateway.on(JOB, job())

    assert "AFTER" not in run(gateway, "job", "job_1").stdout


def test_a_retry_waits_for_the_new_job(gateway: ScriptedGateway) -> None:
    gateway.on(JOB, job("failed"))
    gateway.on("POST /v1/jobs/job_1/retry", Answer(job(id="job_2", retry_of="job_1"), 202))
    gateway.on("GET /v1/jobs/job_2", PREDICTED | {"id": "job_2", "revision": 2})

    result = run(gateway, "retry", "job_1")

    assert (result.exit_code, lines(result.stdout)[2]) == (0, ["1", "lived"])


def test_a_retry_with_no_wait_prints_the_id_of_the_new_job(gateway: ScriptedGateway) -> None:
    gateway.on(JOB, job("failed"))
    gateway.on("POST /v1/jobs/job_1/retry", Answer(job(id="job_2", retry_of="job_1"), 202))

    assert run(gateway, "retry", "job_1", "--no-wait").stdout == "job_2\n"


# queues and dead letters


QUEUES = {
    "data": [
        {
            "lane": "prediction/titanic/3/predict",
            "type": "prediction",
            "waiting": 12041,
            "reserved": 16,
            "oldest_wait_s": 12.5,
            "limit": 10000,
        },
        {"lane": "training", "type": "training", "waiting": 0, "reserved": 1, "oldest_wait_s": None, "limit": 10000},
    ],
    "limits": {
        "rows": {"used": None, "limit": 10000, "unit": "rows", "error": "invalid_input"},
        "files": {"used": 5 * 2**30, "limit": 10 * 2**30, "unit": "bytes", "error": "files_full"},
        "redis_memory": {"used": 2048, "limit": 0, "unit": "bytes", "error": "store_full"},
    },
    "dead_letters": 2,
    "next_cursor": None,
}


def test_queues_shows_lanes_limits_and_dead_letters(gateway: ScriptedGateway) -> None:
    gateway.on("GET /v1/queues", QUEUES)

    result = run(gateway, "queues")

    assert [row for row in lines(result.stdout) if row] == [
        ["LANE", "WAITING", "HELD", "OLDEST"],
        ["prediction/titanic/3/predict", "12041", "16", "12", "s"],
        ["training", "0", "1", "-"],
        ["LIMIT", "USED", "OF", "ERROR"],
        ["rows", "10,000", "rows", "invalid_input"],
        ["files", "5.0", "GiB", "10.0", "GiB", "files_full"],
        ["redis", "memory", "2", "KiB", "no", "limit", "store_full"],
        ["2", "dead", "letters;", "to", "list:", "queuecast", "dead-letters"],
    ]


def test_queues_without_jobs_says_so(gateway: ScriptedGateway) -> None:
    gateway.on("GET /v1/queues", QUEUES | {"data": [], "dead_letters": 0})

    result = run(gateway, "queues")

    assert result.stdout.splitlines()[0].strip() == "no jobs are waiting"
    assert "dead letter" not in result.stdout


def test_the_name_of_a_lane_is_never_shortened(gateway: ScriptedGateway) -> None:
    name = f"prediction/{'a-long-name-' * 4}/112/predict_proba"
    gateway.on("GET /v1/queues", QUEUES | {"data": [QUEUES["data"][0] | {"lane": name}]})  # type: ignore[index]

    seen = [line.rstrip() for line in lines_without_control(seen_in_a_terminal(gateway, "queues", columns=60))]

    width = seen[0].index("WAITING")
    assert "".join(line[:width].strip() for line in seen[1 : seen.index("")]) == name
    assert max(map(len, seen)) <= 60


def test_queues_as_json_are_the_gateways_document(gateway: ScriptedGateway) -> None:
    gateway.on("GET /v1/queues", QUEUES)

    assert json.loads(run(gateway, "queues", "--json").stdout) == QUEUES


def test_dead_letters_are_listed_with_their_error(gateway: ScriptedGateway) -> None:
    letter = job("failed", error={"title": "The worker was lost", "code": "worker_lost"})
    gateway.on("GET /v1/dead-letters", {"data": [letter], "next_cursor": None})

    rows = lines(run(gateway, "dead-letters").stdout)

    assert rows[0] == ["JOB", "MODEL", "AGE", "ERROR"]
    assert (rows[1][:3], rows[1][-1]) == (["job_1", "titanic", "3"], "worker_lost")


def test_an_empty_list_of_dead_letters_says_so(gateway: ScriptedGateway) -> None:
    gateway.on("GET /v1/dead-letters", {"data": [], "next_cursor": None})

    assert run(gateway, "dead-letters").stdout.strip() == "no dead letters"


def test_replaying_a_dead_letter_waits_for_the_new_job(gateway: ScriptedGateway) -> None:
    gateway.on("POST /v1/dead-letters/job_1/replay", Answer(job(id="job_2", retry_of="job_1"), 202))
    gateway.on("GET /v1/jobs/job_2", PREDICTED | {"id": "job_2", "revision": 2})

    result = run(gateway, "dead-letters", "--replay", "job_1")

    assert (result.exit_code, lines(result.stdout)[2]) == (0, ["1", "lived"])


def test_a_dead_letter_that_was_replayed_already_is_a_one_line_error(gateway: ScriptedGateway) -> None:
    gateway.on("POST /v1/dead-letters/job_1/replay", problem(409, "Not possible now", detail="job_1 is no dead letter"))

    result = run(gateway, "dead-letters", "--replay", "job_1")

    assert (result.exit_code, result.stderr) == (1, "Error: 409 Not possible now: job_1 is no dead letter\n")
