"""The current code finishes the work that the code before an upgrade accepted: its processes run on a recorded state.

Each archive in `tests/upgrade/states` is loaded into an empty Redis and a new data folder. First a gateway reads it,
then workers start, with only the recorded messages to wake them, and then a reaper repairs the rest. The tests use
only the HTTP API, the command line and the file formats. `record.py` explains how to add a state.
"""

import csv
import io
import json
import math
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
import redis

from queuecast import Client
from tests.system.conftest import START_WAIT_S, Stack, wait_for
from tests.upgrade import samples, state

pytestmark = [pytest.mark.redis, pytest.mark.xdist_group("upgrade")]
RECORDED = sorted(state.STATES.glob("*.tar.gz"))
assert RECORDED, f"there is no recorded state in {state.STATES}"
SETTINGS = {"lease_s": 3}
FINAL_STATES = {"succeeded", "failed", "canceled", "expired"}
QUEUED_JOBS = ("high", "normal", "low", "pinned", "late", "training", "import", "bulk_queued", "bulk_of_rows")
"""Jobs that no worker had claimed."""
JOBS_FOR_REAPER = ("held", "canceling", "delayed", "unrung", "bulk_running")
"""Jobs that cannot end without the reaper."""
TRANSIENT_FAMILIES = (
    "lane",
    "lanes",
    "bells",
    "entered",
    "taken",
    "delayed",
    "expiring",
    "training",
    "batches",
    "audit",
    "dead",
)
"""Families of keys that are empty once every job has ended and every dead letter was replayed."""
OCCASIONAL_FAMILIES = {"reaper", "wake", "lingering", "attended"}
"""Families that exist only at times, and so may be missing from a recorded state."""
LATER_FAMILIES = {"loaded", "moves", "champion-check"}
"""Families that the recorded version did not have. It ignores them."""
MARK = "kept-part"
"""Replaces the ids in the parts of finished chunks, to detect a chunk that runs again."""


@dataclass
class UpgradedStack:
    """A recorded state with the processes of the current code."""

    recorded: state.State
    stack: Stack
    pages: dict[str, Any]
    """The answers of the current gateway before a worker ran."""
    second_training: int
    """The status of its answer to a second training of a model with a queued training."""
    woken: dict[str, str] = field(default_factory=dict)
    """The states of the queued jobs before the reaper started."""

    def fact(self, name: str) -> dict[str, Any]:
        if name not in self.recorded.facts["jobs"]:
            pytest.skip(f"the state of {self.recorded.about['version']} has no job {name!r}")
        found: dict[str, Any] = self.recorded.facts["jobs"][name]
        return found

    def get(self, path: str) -> httpx2.Response:
        return httpx2.get(f"{self.stack.url}{path}", timeout=30)

    def post(self, path: str, **options: Any) -> httpx2.Response:
        return httpx2.post(f"{self.stack.url}{path}", timeout=30, **options)

    def job(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.get(f"/v1/jobs/{self.fact(name)['id']}").json()
        return found

    def wait(self, names: tuple[str, ...], timeout_s: float) -> None:
        """Waits for the jobs to end. A job that does not end fails only the tests that assert on it."""
        known = [name for name in names if name in self.recorded.facts["jobs"]]
        with suppress(AssertionError):
            wait_for(lambda: all(self.job(name)["state"] in FINAL_STATES for name in known), "the ends", timeout_s)

    def recorded_page(self, path: str) -> Any:
        return self.recorded.facts["pages"][path]["body"]


@pytest.fixture(scope="module", params=RECORDED, ids=lambda path: path.name)
def upgraded(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, repository: Path
) -> Iterator[UpgradedStack]:
    recorded = state.load(request.param)
    stack = Stack(tmp_path_factory.mktemp("upgrade"), repository)
    state.write_folder(_with_marked_parts(recorded), stack.folder / "data")
    stack.redis.start()
    try:
        state.fill_redis(stack.redis.url, recorded)
        stack.start_api()
        pages = state.read_pages(stack.url, recorded.facts["pages"])
        result = UpgradedStack(recorded, stack, pages, train_again(recorded, stack).status_code)
        queuecast("admin", "verify-audit", stack=stack)
        stack.start_worker("worker1", **SETTINGS)
        stack.start_worker("trainer", "train", **SETTINGS)
        wait_for(lambda: stack.workers() == {"predict": 1, "train": 1}, "a worker and a trainer", START_WAIT_S)
        result.wait(QUEUED_JOBS, 60)
        result.woken = {name: result.job(name)["state"] for name in QUEUED_JOBS if name in recorded.facts["jobs"]}
        stack.start_reaper(**SETTINGS)
        result.wait(JOBS_FOR_REAPER, 60)
        yield result
    finally:
        stack.stop()
        stack.redis.stop()


def _with_marked_parts(recorded: state.State) -> dict[str, bytes]:
    batch = recorded.facts["jobs"]["bulk_running"]
    parts = {f"batches/{batch['id']}/parts/{part}" for part in batch["parts"]}
    assert parts <= recorded.data.keys()
    return {
        name: content.replace(b"basket-", MARK.encode() + b"-") if name in parts else content
        for name, content in recorded.data.items()
    }


def train_again(recorded: state.State, stack: Stack) -> httpx2.Response:
    body = {"file_id": recorded.facts["files"]["training"], "target": samples.TARGET, "promote": "never"}
    return httpx2.post(f"{stack.url}/v1/models/{samples.SPECIES}/trainings", json=body, timeout=30)


def queuecast(*words: str, stack: Stack, **environ: str) -> str:
    """Runs the command, which must succeed, and returns its output."""
    code = "from queuecast.cli.main import main; main()"
    ended = subprocess.run(
        [sys.executable, "-c", code, *words],
        env={**stack.environ(), **environ},
        cwd=stack.folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def differences(found: Any, recorded: Any, at: str = "") -> list[str]:
    """The places where `found` lacks or changes a value of `recorded`. `found` may have additional fields."""
    if isinstance(recorded, dict) and isinstance(found, dict):
        fields = [(found.get(name, "no field"), value, f"{at}/{name}") for name, value in recorded.items()]
        return [place for each in fields for place in differences(*each)]
    if isinstance(recorded, list) and isinstance(found, list) and len(found) == len(recorded):
        pairs = zip(found, recorded, strict=True)
        return [place for number, pair in enumerate(pairs) for place in differences(*pair, f"{at}/{number}")]
    return [] if found == recorded else [f"{at}: {found!r}, was {recorded!r}"]


def is_close(found: Any, expected: Any) -> bool:
    """Compares nested lists: labels must be identical, numbers equal to nine digits."""
    if isinstance(expected, list):
        return isinstance(found, list) and len(found) == len(expected) and all(map(is_close, found, expected))
    if isinstance(expected, float):
        return math.isclose(float(found), expected, rel_tol=1e-9, abs_tol=1e-15)
    return str(found) == str(expected)  # a CSV file contains only text


def rows_of(content: str, output_format: str) -> list[list[Any]]:
    if output_format == "csv":
        return [list(row) for row in csv.reader(io.StringIO(content))][1:]
    records = json.loads(content) if output_format == "json" else map(json.loads, content.splitlines())
    return [list(record.values()) for record in records]


def test_the_gateway_reads_every_recorded_page_unchanged(upgraded: UpgradedStack) -> None:
    assert len(upgraded.pages) > 30
    found = differences(upgraded.pages, upgraded.recorded.facts["pages"])
    opened = "/schema/body/additionalProperties: True, was False"  # a row may have columns that are ignored
    assert [place for place in found if not place.endswith(opened)] == []


def test_the_command_line_lists_the_recorded_jobs(upgraded: UpgradedStack) -> None:
    listed = json.loads(queuecast("jobs", "--limit", "200", "--json", stack=upgraded.stack))

    recorded = {job["id"] for job in upgraded.recorded_page("/v1/jobs?limit=200")["data"]}
    assert recorded <= {job["id"] for job in listed}


def test_every_lane_holds_its_recorded_jobs(upgraded: UpgradedStack) -> None:
    lanes = {lane["lane"]: (lane["waiting"], lane["reserved"]) for lane in upgraded.pages["/v1/queues"]["body"]["data"]}

    recorded = upgraded.recorded_page("/v1/queues")["data"]
    assert lanes == {lane["lane"]: (lane["waiting"], lane["reserved"]) for lane in recorded}
    assert sum(lane["reserved"] for lane in recorded) == 3  # two predictions and a chunk


@pytest.mark.parametrize("name", QUEUED_JOBS)
def test_a_recorded_message_wakes_a_worker(upgraded: UpgradedStack, name: str) -> None:
    assert upgraded.woken[name] == upgraded.fact(name)["state"]


def test_a_model_with_a_queued_training_refuses_a_second_one(upgraded: UpgradedStack) -> None:
    assert upgraded.fact("training")
    assert upgraded.second_training == 409


@pytest.mark.parametrize("name", [*QUEUED_JOBS, *JOBS_FOR_REAPER])
def test_an_unfinished_job_ends_as_expected(upgraded: UpgradedStack, name: str) -> None:
    fact, job = upgraded.fact(name), upgraded.job(name)

    assert (job["state"], job.get("error")) == (fact["state"], None)
    assert job["lost_attempts"] == fact.get("lost_attempts", 0)
    assert [entry["event"] for entry in job["timeline"]].count("finished") == 1


@pytest.mark.parametrize("name", ["answered", "high", "normal", "low", "pinned", "held", "delayed", "unrung"])
def test_a_prediction_equals_the_answer_of_the_estimator(upgraded: UpgradedStack, name: str) -> None:
    fact = upgraded.fact(name)

    result = upgraded.get(f"/v1/jobs/{fact['id']}/result").json()

    answers = result["probabilities" if fact["method"] == "predict_proba" else "predictions"]
    assert is_close(answers, fact["answers"]), answers


@pytest.mark.parametrize("name", ["bulk", "bulk_queued", "bulk_of_rows", "bulk_running"])
def test_a_batch_has_every_row_once_and_in_order(upgraded: UpgradedStack, name: str) -> None:
    fact = upgraded.fact(name)

    result = upgraded.get(f"/v1/jobs/{fact['id']}/result")
    errors = upgraded.get(f"/v1/jobs/{fact['id']}/errors")

    rows = rows_of(result.text.replace(MARK, "basket"), fact["format"])
    assert is_close(rows, fact["rows"]), result.text
    assert [json.loads(line)["row"] for line in errors.text.splitlines()] == fact["bad_rows"]


def test_finished_chunks_do_not_run_again(upgraded: UpgradedStack) -> None:
    fact = upgraded.fact("bulk_running")
    done = {int(part.partition("-")[2]) + 1 for part in fact["parts"]}  # each chunk has one row

    rows = rows_of(upgraded.get(f"/v1/jobs/{fact['id']}/result").text, fact["format"])

    marked = {int(number) for number, basket, *_ in rows if basket.startswith(MARK)}
    assert marked == done - set(fact["bad_rows"])
    assert 0 < len(marked) < len(rows) - 2


@pytest.mark.parametrize("name", ["held", "bulk_running"])
def test_a_resumed_job_continues_its_timeline(upgraded: UpgradedStack, name: str) -> None:
    jobs = upgraded.recorded_page("/v1/jobs?limit=200")["data"]
    (before,) = (job["timeline"] for job in jobs if job["id"] == upgraded.fact(name)["id"])

    after = upgraded.job(name)["timeline"]

    assert len(before) > 1
    assert after[: len(before)] == before
    assert after[-1]["detail"] == "succeeded"


def test_a_queued_retraining_creates_version_3_of_its_model(upgraded: UpgradedStack) -> None:
    job = upgraded.job("training")
    versions = upgraded.get(f"/v1/models/{samples.SPECIES}/versions").json()["data"]
    (created,) = (version for version in versions if version["version"] == 3)

    assert (job["result"]["version"], job["result"]["promoted"]) == (3, False)  # its file has few rows for the gate
    assert "rows are held out, and a comparison needs at least 100" in job["result"]["reason"]
    assert job["metadata"] == {"season": "fall"}
    assert (created["job_id"], created["lineage"]["parent_version"]) == (job["id"], 2)
    assert (created["metrics"]["metric"], created["metrics"]["champion_version"]) == ("neg_log_loss", 2)


def test_a_queued_import_creates_a_model_with_a_champion(upgraded: UpgradedStack) -> None:
    assert upgraded.job("import")["result"]["version"] == 1
    assert upgraded.get("/v1/models/newcomer").json()["champion"] == 1


@pytest.mark.parametrize("model", [samples.SPECIES, samples.TOPICS])
def test_the_history_of_a_model_continues(upgraded: UpgradedStack, model: str) -> None:
    before = upgraded.recorded_page(f"/v1/models/{model}/history")["data"]

    after = upgraded.get(f"/v1/models/{model}/history").json()["data"]

    assert len(before) >= 3
    assert after[: len(before)] == before
    assert [move["generation"] for move in after] == list(range(1, len(after) + 1))


def test_the_audit_trail_stays_valid_and_gains_the_missing_move(upgraded: UpgradedStack) -> None:
    trail = upgraded.stack.folder / "data/models" / samples.SPECIES / "aliases.jsonl"
    before = upgraded.recorded.data[f"models/{samples.SPECIES}/aliases.jsonl"]
    moves = upgraded.recorded_page(f"/v1/models/{samples.SPECIES}/history")["data"]

    wait_for(lambda: trail.read_bytes().count(b"\n") >= len(moves), "the last move in the audit file", 15)

    assert before.count(b"\n") == len(moves) - 1
    assert trail.read_bytes().startswith(before)
    queuecast("admin", "verify-audit", stack=upgraded.stack)


def test_a_recorded_idempotency_key_returns_the_same_job(upgraded: UpgradedStack) -> None:
    repeat = upgraded.recorded.facts["repeat"]
    headers = {"Content-Type": "application/json", "Idempotency-Key": repeat["key"]}

    answer = upgraded.post(repeat["path"], content=repeat["body"].encode(), headers=headers)
    other = upgraded.post(repeat["path"], content=repeat["body"].encode() + b" ", headers=headers)

    assert (answer.status_code, answer.json()["id"]) == (202, upgraded.fact(repeat["job"])["id"])
    assert answer.headers["Idempotency-Replayed"] == "true"
    assert other.status_code == 422


def test_a_dead_letter_is_replayed_and_answered(upgraded: UpgradedStack) -> None:
    fact = upgraded.fact("letter")
    listed = [job["id"] for job in upgraded.recorded_page("/v1/dead-letters")["data"]]

    with Client(upgraded.stack.url) as client:
        replayed = client.replay(fact["id"])
        result = replayed.result(30)

    assert listed == [fact["id"]]
    assert replayed.body["retry_of"] == fact["id"]
    assert is_close(result["predictions"], fact["answers"])
    assert upgraded.get("/v1/dead-letters").json()["data"] == []


def test_a_canceled_job_can_be_retried(upgraded: UpgradedStack) -> None:
    fact = upgraded.fact("withdrawn")

    with Client(upgraded.stack.url) as client:
        result = client.job(fact["id"]).retry().result(30)

    assert is_close(result["predictions"], fact["answers"])


def test_an_ended_job_can_be_deleted(upgraded: UpgradedStack) -> None:
    path = f"/v1/jobs/{upgraded.fact('refused')['id']}"

    answer = httpx2.delete(f"{upgraded.stack.url}{path}", timeout=30)

    assert answer.status_code == 204
    assert upgraded.get(path).status_code == 410


def test_a_new_retraining_continues_the_recorded_versions(upgraded: UpgradedStack) -> None:
    assert upgraded.job("training")["state"] == "succeeded"

    answer = train_again(upgraded.recorded, upgraded.stack)
    with Client(upgraded.stack.url) as client:
        result = client.job(answer.json()["id"]).result(30)

    assert (result["version"], result["champion"]["version"]) == (4, 2)


def test_the_parts_of_a_batch_are_removed_after_they_are_joined(upgraded: UpgradedStack) -> None:
    batches = upgraded.stack.folder / "data/batches"
    names = [upgraded.fact(name)["id"] for name in ("bulk", "bulk_running")]

    wait_for(lambda: not any((batches / name / "parts").exists() for name in names), "the removal of the parts", 15)


def test_no_job_and_no_message_is_left_waiting(upgraded: UpgradedStack) -> None:
    for letter in upgraded.get("/v1/dead-letters").json()["data"]:  # replayed on an earlier start
        with Client(upgraded.stack.url) as client:
            client.replay(letter["id"]).result(30)

    def leftover_keys() -> list[str]:
        names = keys_of(upgraded.stack)
        return [
            key for key in names if key.startswith(("predict", "train")) or families_of({key}) & set(TRANSIENT_FAMILIES)
        ]

    deadline = time.monotonic() + 60
    while leftover_keys() and time.monotonic() < deadline:
        time.sleep(0.1)

    assert leftover_keys() == []


def test_redis_has_the_same_families_of_keys_before_and_after(upgraded: UpgradedStack) -> None:
    before = families_of({command[1].decode() for command in upgraded.recorded.commands})

    after = families_of(keys_of(upgraded.stack))

    assert after - OCCASIONAL_FAMILIES - LATER_FAMILIES - before == set()
    assert before - OCCASIONAL_FAMILIES - after <= {*TRANSIENT_FAMILIES, "workers"}


def keys_of(stack: Stack) -> set[str]:
    with redis.Redis.from_url(stack.redis.url, decode_responses=True) as client:
        return set(client.keys("*"))


def families_of(keys: set[str]) -> set[str]:
    """`job` for `qc:job:{id}`."""
    return {key.split(":")[1] for key in keys if key.startswith("qc:")}


def test_no_process_logged_an_exception(upgraded: UpgradedStack) -> None:
    for name in ("api", "worker1", "trainer", "reaper"):
        assert "Traceback" not in upgraded.stack.log(name), name


@pytest.mark.parametrize(
    ("pattern", "fields"),
    [
        ("models/*/*/manifest.json", {"model", "version", "sha256", "job_id", "signature", "environment"}),
        ("models/*/*/golden.json", {"rows", "outputs"}),
        ("batches/*/plan.json", {"number", "n_rows", "cuts"}),
        ("batches/*/outcome.json", {"attempt", "rows", "errors", "format", "sha256"}),
        ("files/*/about.json", {"id", "name", "media_type", "sha256"}),
    ],
)
def test_files_have_the_same_fields_before_and_after(upgraded: UpgradedStack, pattern: str, fields: set[str]) -> None:
    """So that the old code can continue after a rollback of the upgrade."""
    data = upgraded.stack.folder / "data"
    before = {name for name in upgraded.recorded.data if Path(name).match(pattern)}
    after = {str(path.relative_to(data)) for path in data.glob(pattern)}

    known = [set(json.loads(upgraded.recorded.data[name])) for name in before]
    found = [set(json.loads((data / name).read_bytes())) for name in after]

    assert known
    assert all(fields <= known[0] <= each for each in (*known, *found))


def test_the_current_code_restores_a_backup_of_the_old_code(
    upgraded: UpgradedStack, tmp_path: Path, repository: Path
) -> None:
    backup, jobs = tmp_path / "backup", upgraded.recorded.facts["jobs"]
    backup.write_bytes(upgraded.recorded.backup)
    ended = [name for name in ("answered", "refused", "letter", "withdrawn", "bulk") if name in jobs]
    paths = [f"/v1/jobs/{jobs[name]['id']}" for name in ended] + [f"/v1/models/{samples.SPECIES}/history"]
    stack = Stack(tmp_path / "restored", repository)
    state.write_folder(upgraded.recorded.data, stack.folder / "data")
    stack.redis.start()
    try:
        queuecast("admin", "restore", str(backup), stack=stack)
        queuecast("admin", "verify-audit", stack=stack)
        stack.start_api()
        pages = state.read_pages(stack.url, [*paths, "/v1/jobs?state=queued&limit=200"])
    finally:
        stack.stop()
        stack.redis.stop()

    queued = pages.pop("/v1/jobs?state=queued&limit=200")["body"]["data"]
    expected = {jobs[name]["id"] for name in (*QUEUED_JOBS, "held", "delayed", "unrung") if name in jobs}
    assert differences(pages, {path: upgraded.recorded.facts["pages"][path] for path in paths}) == []
    assert {job["id"] for job in queued} == expected
