"""Records a state of the product, which `tests/upgrade/test_upgrade.py` runs with later code.

    python -m tests.upgrade.record                  into tests/upgrade/states/{version}-{date of the commit}.tar.gz
    python -m tests.upgrade.record FOLDER           into another folder

Record a state at every release: check out the released commit, run the first line (half a minute on Linux, with only
the development environment), run the test, and commit the archive. Keep the archives of all releases from which an
upgrade is supported; the test runs each of them. If a release adds a new kind of record or file, add it to the
scenario here first; tests of features that an older state lacks are skipped for that state.

The scenario is the life of a small installation until it is stopped for an upgrade: jobs have ended in every possible
way, jobs wait in every lane, and workers were killed in the middle of a run.

States are kept for years, so nothing in them may expire. Retention and the timeout of a batch are a hundred years
here, because job records contain the resulting deadlines. Other deadlines need no care: loading a state shifts the
TTLs of its keys and makes its files new, and jobs with an expired lease, backoff or start deadline are recorded on
purpose.
"""

import argparse
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import httpx2
import pandas as pd
import redis
import skops.io

from deploy.embedded.redis_server import RedisServer
from queuecast import Client, __version__
from tests.system.conftest import Stack, wait_for
from tests.upgrade import samples, state
from tests.upgrade.samples import SPECIES, TARGET, TOPICS

REPOSITORY = Path(__file__).resolve().parents[2]
PRODUCT = ("api", "queuecast", "worker", "requirements")
CENTURY_S = 100 * 365 * 24 * 3600
SETTINGS = {"retention_s": CENTURY_S, "batch_timeout_s": CENTURY_S}
PRIORITIES = ("high", "normal", "low")
ENDED = ("answered", "refused", "unfit", "letter", "withdrawn", "trained", "bulk")
LIVE = {
    **dict.fromkeys((*PRIORITIES, "pinned", "late", "training", "import", "bulk_queued", "bulk_of_rows"), "queued"),
    **dict.fromkeys(("delayed", "unrung"), "queued"),
    **dict.fromkeys(("held", "bulk_running"), "running"),
    "canceling": "canceling",
}
CONTENT_TYPES = {"csv": "text/csv", "ndjson": "application/x-ndjson", "parquet": "application/vnd.apache.parquet"}
TRIES = 5
Job = dict[str, Any]


class ScenarioError(Exception):
    """A process was too fast or too slow for the scenario, so the recorded state is useless."""


class Scenario:
    """Runs one installation and collects the facts that must hold after its upgrade."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.client = Client(stack.url)
        self.jobs: dict[str, Job] = {}
        self.files: dict[str, str] = {}
        self.facts: dict[str, Any] = {"jobs": self.jobs, "files": self.files}

    def run(self) -> None:
        self.make_models()
        self.end_jobs_in_every_possible_way()
        self.wait_for_the_audit_files()
        self.stack.stop("reaper")  # from here on, no reaper requeues the jobs of a killed worker
        self.make_a_dead_letter()
        self.delay_a_job()
        self.kill_a_worker_that_runs_a_prediction()
        self.kill_a_worker_that_runs_a_job_to_be_canceled()
        self.kill_a_worker_in_the_middle_of_a_batch()
        self.stack.stop("trainer")
        self.queue_jobs_of_every_kind()
        self.client.promote(SPECIES, 1, "reserve", "after the last export of the audit trail")
        for name, expected in LIVE.items():
            self._require(name, expected)
        self.read_pages()

    # While everything runs

    def make_models(self) -> None:
        table = samples.leaves(40, seed=1)
        self.client.push(SPECIES, samples.species(), samples.features(table), table[TARGET]).result(60)
        for seed in (1, 2):
            self.client.push(TOPICS, samples.topics(seed), samples.features(samples.baskets(2, seed=3))).result(60)
        file_id = self._upload("training", table.drop(columns="leaf"), "csv")
        self._submit("trained", f"{SPECIES}/trainings", {"file_id": file_id, "target": TARGET, "promote": "manual"})
        self._wait("trained")
        self.client.promote(SPECIES, 2, reason="better in autumn")
        self.client.rollback(SPECIES, "not better in winter")
        self.client.promote(SPECIES, 2, reason="spring again")
        self.client.promote(SPECIES, 1, "challenger")
        self.client.promote(TOPICS, 2, reason="finer")
        self.client.promote(TOPICS, 1, "challenger")

    def end_jobs_in_every_possible_way(self) -> None:
        self._predict("answered", SPECIES, "predict_proba", metadata={"asked by": "a caller"})
        self._submit_with_key("repeated")
        self._submit_failing_row("refused", version=1)
        training = {"file_id": self.files["training"], "target": TARGET, "params": {"C": -1}}
        self._submit("unfit", f"{SPECIES}/trainings", training)
        self._batch("bulk", SPECIES, "predict_proba", samples.leaves(6, seed=4), "ndjson", "json", "leaf", bad_row=3)
        self._predict("deleted", SPECIES, "predict")
        for name in ("answered", "repeated", "refused", "unfit", "bulk", "deleted"):
            self._wait(name)
        self._call("DELETE", f"/v1/jobs/{self.jobs['deleted']['id']}")

    def wait_for_the_audit_files(self) -> None:
        def are_written() -> bool:
            trails = {name: self.stack.folder / "data/models" / name / "aliases.jsonl" for name in (SPECIES, TOPICS)}
            moves = {name: len(self._call("GET", f"/v1/models/{name}/history").json()["data"]) for name in trails}
            return all(path.exists() and path.read_text().count("\n") == moves[name] for name, path in trails.items())

        wait_for(are_written, "the audit trail")

    # Without a reaper

    def make_a_dead_letter(self) -> None:
        self._restart_api(max_attempts=1)
        self._start_slow_job("letter", version=2)
        self._kill_child("worker1")
        self._wait("letter")
        self._require("letter", "failed")
        self._restart_api()

    def delay_a_job(self) -> None:
        self._start_slow_job("delayed", version=2)
        self._kill_child("worker1")
        wait_for(lambda: self._job("delayed")["not_before"] is not None, "the backoff", 30)
        self.jobs["delayed"] |= {"lost_attempts": 1}

    def kill_a_worker_that_runs_a_prediction(self) -> None:
        """A worker that runs a quick job stays on its lane, so the gateway sends no message for the next job there."""
        for _ in range(2):  # the first one loads the model
            self._submit_failing_row("attended", version=2)
            self._wait("attended")
        self._start_slow_job("held", version=2)
        self.stack.kill("worker1")
        self._require("held", "running")
        self.jobs["held"] |= {"lost_attempts": 1}
        self._submit_slow_job("unrung", version=2)
        with redis.Redis.from_url(self.stack.redis.url) as client:
            if not client.hexists("qc:attended", f"prediction/{TOPICS}/2/transform"):
                raise ScenarioError("the worker did not stay on the lane: its quick job took too long")

    def kill_a_worker_that_runs_a_job_to_be_canceled(self) -> None:
        self._start_worker("worker2")
        self._start_slow_job("canceling", version=1)
        self.stack.kill("worker2")
        self._call("POST", f"/v1/jobs/{self.jobs['canceling']['id']}/cancel")
        self._require("canceling", "canceling")
        self.jobs["canceling"] |= {"state": "canceled", "lost_attempts": 0}

    def kill_a_worker_in_the_middle_of_a_batch(self) -> None:
        self._start_worker("worker3")
        table = samples.baskets(9, seed=5)
        self._batch("bulk_running", TOPICS, "transform", table, "csv", "csv", "basket", bad_row=2)
        wait_for(lambda: len(self._done_parts()) >= 3 and self._held_chunks(), "three chunks done, one held", 60)
        self.stack.kill("worker3")
        self._require("bulk_running", "running")
        done, held = self._done_parts(), self._held_chunks()
        if len(held) != 1 or len(done) > 6:
            raise ScenarioError(f"found chunks {held} held and {done} done")
        self.jobs["bulk_running"]["parts"] = done

    def _done_parts(self) -> list[str]:
        parts = self.stack.folder / "data/batches" / self.jobs["bulk_running"]["id"] / "parts"
        return sorted(path.name for path in parts.glob("*") if not path.suffix and not path.name.startswith("."))

    def _held_chunks(self) -> list[str]:
        """The chunks that a worker has claimed but not written, by the names of their part files."""
        lane = f"qc:lane:chunk/{self.jobs['bulk_running']['id']}"
        with redis.Redis.from_url(self.stack.redis.url, decode_responses=True) as client:
            if not client.exists(lane):
                return []
            pending = client.xpending_range(lane, "workers", "-", "+", 10)
            entries = [client.xrange(lane, entry["message_id"], entry["message_id"]) for entry in pending]
        names = ["-".join(entry[0][1]["job"].split("_")[-2:]) for entry in entries if entry]
        return [name for name in names if name not in self._done_parts()]

    # Without a worker

    def queue_jobs_of_every_kind(self) -> None:
        for priority in PRIORITIES:
            self._predict(priority, SPECIES, "predict", rows=1, priority=priority)
        self._predict("pinned", SPECIES, "predict_proba", rows=2, version="challenger")
        self._predict("late", SPECIES, "decision_function", rows=1, expires_in_s=0.05)
        self.jobs["late"] |= {"state": "expired", "attempt": 0}
        self._predict("withdrawn", SPECIES, "predict", rows=1)
        self._call("POST", f"/v1/jobs/{self.jobs['withdrawn']['id']}/cancel")
        self.jobs["withdrawn"] |= {"state": "canceled", "attempt": 0}
        table = samples.leaves(60, seed=6).drop(columns="leaf")
        training = {"file_id": self._upload("more", table, "parquet"), "target": TARGET, "metadata": {"season": "fall"}}
        self._submit("training", f"{SPECIES}/trainings", training)
        table = samples.leaves(40, seed=1)
        pushed = self.client.push("newcomer", samples.species(), samples.features(table), table[TARGET])
        self.jobs["import"] = {"id": pushed.id, "state": "succeeded"}
        table = samples.leaves(5, seed=7)
        self._batch("bulk_queued", SPECIES, "predict", table, "parquet", "ndjson", "leaf", priority="low")
        self._batch_of_rows("bulk_of_rows", samples.leaves(3, seed=8))

    def read_pages(self) -> None:
        paths = [
            *("/v1/models", "/v1/jobs?limit=200", "/v1/dead-letters", "/v1/queues"),
            *(f"/v1/jobs/{self.jobs[name]['id']}" for name in (*ENDED, "deleted", *PRIORITIES, "bulk_running")),
            *(f"/v1/jobs/{self.jobs[name]['id']}/result" for name in ("answered", "bulk")),
            *(f"/v1/jobs/{self.jobs[name]['id']}/errors" for name in ("bulk", "bulk_running")),
            *(f"/v1/files/{file_id}" for file_id in self.files.values()),
            *(f"/v1/models/{name}{page}" for name in (SPECIES, TOPICS) for page in ("", "/versions", "/history")),
            *(f"/v1/models/{name}/versions/{version}/schema" for name in (SPECIES, TOPICS) for version in (1, 2)),
        ]
        self.facts["pages"] = state.read_pages(self.stack.url, paths)

    # Steps

    def _submit(self, name: str, path: str, body: dict[str, Any], **headers: str) -> None:
        job = self._call("POST", f"/v1/models/{path}", json.dumps(body).encode(), **headers).json()
        self.jobs[name] = {"id": job["id"], "state": "succeeded"}

    def _predict(self, name: str, model: str, method: str, *, rows: int = 3, **options: Any) -> None:
        table = samples.leaves(rows, seed=len(self.jobs))
        version = options.get("version", "champion")
        inputs = samples.features(table).to_dict("records")
        expected = self._expected_answers(model, version, method, table)
        self._submit(name, f"{model}/predictions", {"inputs": inputs, "method": method, **options})
        self.jobs[name] |= {"method": method, "answers": expected}

    def _submit_slow_job(self, name: str, version: int) -> None:
        table = samples.baskets(1, seed=len(self.jobs))
        inputs = samples.features(table).to_dict("records")
        expected = self._expected_answers(TOPICS, version, "transform", table)
        self._submit(name, f"{TOPICS}/predictions", {"inputs": inputs, "method": "transform", "version": version})
        self.jobs[name] |= {"method": "transform", "answers": expected}

    def _start_slow_job(self, name: str, version: int) -> None:
        """Submits a slow job, and returns while a worker runs it."""
        self._submit_slow_job(name, version)
        wait_for(lambda: self._job(name)["state"] != "queued", "the run", 60)
        self._require(name, "running")

    def _submit_failing_row(self, name: str, version: int) -> None:
        """Submits a row that makes the model raise: a negative number."""
        body = {"inputs": [{"apples": -1, "pears": 0, "plums": 0}], "method": "transform", "version": version}
        self._submit(name, f"{TOPICS}/predictions", body)

    def _submit_with_key(self, name: str) -> None:
        rows = samples.features(samples.leaves(2, seed=9)).to_dict("records")
        body = {"inputs": rows, "method": "predict"}
        key = "the key of the caller"
        self._submit(name, f"{SPECIES}/predictions", body, **{"Idempotency-Key": key})
        path = f"/v1/models/{SPECIES}/predictions"
        self.facts["repeat"] = {"path": path, "key": key, "body": json.dumps(body), "job": name}

    def _batch(
        self,
        name: str,
        model: str,
        method: str,
        table: pd.DataFrame,
        file_format: str,
        output_format: str,
        id_column: str,
        *,
        bad_row: int = 0,
        **options: Any,
    ) -> None:
        """bad_row: the number of a row that gets a word in a numeric column; 0 for none."""
        file_id = self._upload(name, table, file_format, bad_row)
        expected = self._expected_rows(model, method, table, table[id_column].tolist())
        body = {"file_id": file_id, "method": method, "output_format": output_format, "id_column": id_column}
        self._submit(name, f"{model}/batches", {**body, **options})
        good = [row for row in expected if row[0] != bad_row]
        self.jobs[name] |= {"format": output_format, "rows": good, "bad_rows": [bad_row] if bad_row else []}

    def _batch_of_rows(self, name: str, table: pd.DataFrame) -> None:
        expected = self._expected_rows(SPECIES, "predict", table, None)
        inputs = samples.features(table).to_dict("records")
        self._submit(name, f"{SPECIES}/batches", {"inputs": inputs, "output_format": "csv"})
        self.jobs[name] |= {"format": "csv", "rows": expected, "bad_rows": []}

    def _expected_rows(self, model: str, method: str, table: pd.DataFrame, ids: list[str] | None) -> list[list[Any]]:
        """The lines of a batch's result: row number, id if there is one, and the answer of the estimator."""
        rows = []
        for number, answer in enumerate(self._expected_answers(model, "champion", method, table), 1):
            values = answer if isinstance(answer, list) else [answer]
            rows.append([number, *([ids[number - 1]] if ids else []), *values])
        return rows

    def _expected_answers(self, model: str, version: int | str, method: str, table: pd.DataFrame) -> list[Any]:
        """The answers of a version, computed in this process from its model file."""
        number = version if isinstance(version, int) else self.client.model(model)["aliases"][version]
        folder = self.stack.folder / "data/models" / model / str(number)
        return samples.answers(skops.io.load(folder / "model.skops"), method, table)

    def _upload(self, name: str, table: pd.DataFrame, file_format: str, bad_row: int = 0) -> str:
        content = _content(table, file_format, bad_row)
        media_type = CONTENT_TYPES[file_format]
        answer = self._call("POST", f"/v1/files?name={name}.{file_format}", content, **{"Content-Type": media_type})
        self.files[name] = answer.json()["id"]
        return self.files[name]

    def _call(self, method: str, path: str, content: bytes | None = None, **headers: str) -> httpx2.Response:
        headers = {"Content-Type": "application/json", **headers} if content else headers
        answer = httpx2.request(method, f"{self.stack.url}{path}", content=content, headers=headers, timeout=30)
        if answer.is_error:
            raise SystemExit(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer

    def _job(self, name: str) -> Job:
        job: Job = self._call("GET", f"/v1/jobs/{self.jobs[name]['id']}").json()
        return job

    def _wait(self, name: str) -> None:
        body = self.client.job(self.jobs[name]["id"]).wait(60).body
        self.jobs[name] |= {"state": body["state"], "attempt": body["attempt"]}

    def _require(self, name: str, expected: str) -> None:
        actual = self._job(name)["state"]
        if actual != expected:
            raise ScenarioError(f"job {name} is {actual}, expected {expected}")

    def _start_worker(self, name: str) -> None:
        before = self.stack.workers().get("predict", 0)
        self.stack.start_worker(name, **SETTINGS)
        wait_for(lambda: self.stack.workers().get("predict", 0) > before, "the worker", 60)

    def _restart_api(self, **settings: int) -> None:
        self.stack.stop("api")
        self.stack.start_api(**SETTINGS, **settings)

    def _kill_child(self, worker: str) -> None:
        pid = self.stack.processes[worker].pid
        (child,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        os.kill(int(child), signal.SIGKILL)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.upgrade.record")
    parser.add_argument("folder", nargs="?", type=Path, default=state.STATES)
    options = parser.parse_args()
    commit, date = _product_commit()
    path = options.folder / f"{__version__}-{date}.tar.gz"
    recorded = _recorded({"version": __version__, "commit": commit})
    state.save(recorded, path)
    print(f"{path}: {len(recorded.facts['jobs'])} jobs with expected outcomes, {path.stat().st_size:,} bytes")


def _recorded(about: dict[str, Any]) -> state.State:
    for _ in range(TRIES):
        with tempfile.TemporaryDirectory() as folder:
            try:
                return record(Path(folder), about)
            except ScenarioError as error:
                print(f"{error}; retrying", file=sys.stderr)
    raise SystemExit(f"failed {TRIES} times; is this machine busy with something else?")


def record(folder: Path, about: dict[str, Any]) -> state.State:
    stack = Stack(folder / "running", REPOSITORY)
    stack.redis.start()
    try:
        stack.start_api(**SETTINGS)
        stack.start_reaper(**SETTINGS)
        stack.start_worker("trainer", "train", **SETTINGS)
        stack.start_worker("worker1", **SETTINGS)
        wait_for(lambda: stack.workers() == {"predict": 1, "train": 1}, "a worker and a trainer", 60)
        scenario = Scenario(stack)
        scenario.run()
        stack.stop()
        commands, now = _content_of(stack)
    finally:
        stack.stop()
        stack.redis.stop()
    about |= {"recorded_at": now, "recorded_by": "python -m tests.upgrade.record"}
    words = {os.uname().nodename: "recorder"}
    return _with_backup(
        state.State(
            about,
            [[_replaced(part, words) for part in command] for command in commands],
            state.with_words(scenario.facts, words),
            b"",
            state.read_folder(folder / "running/data"),
        ),
        folder / "restored",
    )


def _content_of(stack: Stack) -> tuple[list[state.Command], float]:
    """Everything in Redis, and the time of Redis."""
    with redis.Redis.from_url(stack.redis.url) as client:
        client.config_set("aof-use-rdb-preamble", "no")
        client.bgrewriteaof()
        wait_for(lambda: not client.info("persistence")["aof_rewrite_in_progress"], "the rewrite of the log of writes")
        wait_for(lambda: not client.info("persistence")["aof_rewrite_scheduled"], "the rewrite of the log of writes")
        seconds, micros = client.time()
    (log,) = (stack.folder / "redis/appendonlydir").glob("*.base.aof")
    return list(state.commands_of(log.read_bytes())), seconds + micros / 1e6


def _with_backup(recorded: state.State, folder: Path) -> state.State:
    """Adds a backup by `queuecast admin`, made from a Redis filled in the same way as in the test."""
    server = RedisServer(folder)
    server.start()
    try:
        state.fill_redis(server.url, recorded)
        command = "from queuecast.cli.main import main; main()"
        environ = {**os.environ, "QUEUECAST_REDIS_URL": server.url, "PYTHONPATH": str(REPOSITORY)}
        backup = folder / "backup"
        words = [sys.executable, "-c", command, "admin", "backup", str(backup)]
        subprocess.run(words, env=environ, cwd=REPOSITORY, check=True, timeout=60)
        return state.State(recorded.about, recorded.commands, recorded.facts, backup.read_bytes(), recorded.data)
    finally:
        server.stop()


def _content(table: pd.DataFrame, file_format: str, bad_row: int) -> bytes:
    if file_format == "parquet":
        buffer = io.BytesIO()
        table.to_parquet(buffer, index=False)
        return buffer.getvalue()
    records = table.to_dict("records")
    if bad_row:
        records[bad_row - 1][table.columns[0]] = "many"
    if file_format == "ndjson":
        return "".join(json.dumps(record) + "\n" for record in records).encode()
    return pd.DataFrame(records).to_csv(index=False).encode()


def _replaced(part: bytes, words: dict[str, str]) -> bytes:
    for word, other in words.items():
        part = part.replace(word.encode(), other.encode())
    return part


def _product_commit() -> tuple[str, str]:
    """The last commit that changed the product, and its date."""

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", *words, "--", *PRODUCT], cwd=REPOSITORY, check=True, capture_output=True, text=True
        ).stdout.strip()

    changed = git("status", "--porcelain")
    if changed:
        raise SystemExit(f"the product has uncommitted changes; commit or revert them first:\n{changed}")
    commit, date = git("log", "-1", "--format=%H %cs").split()
    return commit, date


if __name__ == "__main__":
    main()
