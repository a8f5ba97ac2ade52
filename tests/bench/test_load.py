"""The load shapes against a server in this process: every job is reported, and latency includes queueing."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from bench.load import Load, Order

ROWS = [{"n": number} for number in range(7)]


class JobRequestHandler(BaseHTTPRequestHandler):
    """Speaks the tutorial's protocol. A job is done at the second poll; its answer is the `n` of its row."""

    protocol_version = "HTTP/1.1"
    rows: dict[str, int]
    asked: dict[str, int]

    def do_POST(self) -> None:
        inputs = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["inputs"]
        job_id = f"job{len(self.rows)}"
        self.rows[job_id] = inputs[0]["n"]
        self._respond(202, {"id": job_id}) if inputs[0]["n"] != 5 else self._respond(500, {"error": "five"})

    def do_GET(self) -> None:
        job_id = self.path.rpartition("/")[2]
        self.asked[job_id] = self.asked.get(job_id, 0) + 1
        is_done = self.asked[job_id] > 1
        self._respond(200 if is_done else 202, {"probabilities": [[self.rows[job_id]]]} if is_done else {})

    def _respond(self, status: int, body: dict[str, Any]) -> None:
        sent = json.dumps(body, separators=(",", ":")).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def port() -> Iterator[int]:
    handler = type("Fresh", (JobRequestHandler,), {"rows": {}, "asked": {}})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()
    thread.join(10)


@pytest.fixture
def rows_file(tmp_path: Path) -> str:
    (tmp_path / "rows.json").write_text(json.dumps(ROWS))
    return str(tmp_path / "rows.json")


def test_a_burst_fetches_every_accepted_job_and_reports_every_refused_one(port: int, rows_file: str) -> None:
    report = Load(Order("burst", "tutorial", port, rows_file, clients=4, jobs=40, polling_s=0.001)).run()

    refused = [seen for seen in report.seen if isinstance(seen.end, str)]
    answered = [seen for seen in report.seen if not isinstance(seen.end, str)]
    assert len(report.seen) == 40
    assert {seen.first_row for seen in refused} == {5}
    assert [seen.end for seen in answered] == [[[seen.first_row]] for seen in answered]


def test_a_closed_loop_ends_with_the_answers_to_all_jobs_it_sent(port: int, rows_file: str) -> None:
    report = Load(Order("closed", "tutorial", port, rows_file, clients=3, seconds=0.2, polling_s=0.001)).run()

    assert len(report.seen) > 3
    assert all(seen.end is not None and seen.ended_at > seen.started_at for seen in report.seen)


def test_an_open_loop_measures_from_the_time_a_job_was_scheduled(port: int, rows_file: str) -> None:
    order = Order("open", "tutorial", port, rows_file, clients=1, seconds=0.2, jobs_per_s=50, polling_s=0.05)

    report = Load(order).run()

    # The client takes 50 ms per job and gets 50 jobs a second, so the last job waits for all earlier ones.
    assert report.seen[-1].ended_at - report.seen[-1].started_at > 3 * 0.05


def test_every_job_of_an_open_loop_is_sent(port: int, rows_file: str) -> None:
    report = Load(Order("open", "tutorial", port, rows_file, clients=8, seconds=0.5, jobs_per_s=100)).run()

    assert 25 < len(report.seen) < 100
    assert all(seen.end is not None for seen in report.seen)
