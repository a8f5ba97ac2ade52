"""What happens when a part dies, hangs, fills up or is cut off: docs/06-operations.md names the test for each.

Own processes, because they are broken on purpose; the lease is short, so that nobody waits for half a minute.
"""

import hashlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest
import redis

from examples.titanic import train
from queuecast import Client
from queuecast.client import JobHandle
from tests.system.conftest import Stack, wait_for
from tests.system.proxy import Proxy

pytestmark = [
    pytest.mark.redis,
    pytest.mark.xdist_group("promises"),
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]
ROW = {"pclass": 1, "sex": "female", "age": 29, "sibsp": 0, "parch": 0, "fare": 211.3, "embarked": "S"}
PREDICTIONS = "/v1/models/titanic/predictions"
LEASE_S = 4
SETTINGS = {"lease_s": LEASE_S, "shutdown_grace_s": 2}


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Iterator[Stack]:
    """A gateway, a trainer and two reapers; each test starts the prediction workers that it needs."""
    running = Stack(tmp_path_factory.mktemp("promises"), repository)
    running.redis.start()
    try:
        running.start_api()
        for name in ("reaper1", "reaper2"):
            running.start_reaper(name, **SETTINGS)
        running.start_worker("trainer", "train", **SETTINGS)
        running.push_titanic()
        running.push_titanic("--name", "hist", "--model", "hist")
        yield running
    finally:
        running.stop()
        running.redis.stop()


@pytest.fixture
def client(broken: Stack) -> Iterator[Client]:
    with Client(broken.url) as connected:
        yield connected


@pytest.fixture
def store(broken: Stack) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(broken.redis.url) as connected:
        yield connected


@pytest.fixture
def worker(broken: Stack) -> Iterator[str]:
    """A prediction worker, ready."""
    broken.start_worker("w1", **SETTINGS)
    wait_for(lambda: broken.workers().get("predict") == 1, "the worker", 60)
    yield "w1"
    if "w1" in broken.processes:
        broken.stop("w1")


def submit(stack: Stack, key: str | None = None, **body: Any) -> httpx2.Response:
    headers = {} if key is None else {"Idempotency-Key": key}
    return httpx2.post(f"{stack.url}{PREDICTIONS}", json={"inputs": [ROW], **body}, headers=headers, timeout=30)


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def start_long_training(client: Client, **params: int) -> JobHandle:
    """A fit that takes minutes, seen running."""
    job = client.train("hist", train.DATA, "survived", {"model__max_iter": 100_000, **params}, promote="never")
    wait_for(lambda: stage(job) == "fit", "the fit", 60)
    return job


def stage(job: JobHandle) -> str | None:
    progress = job.refresh().body["progress"] or {}
    return progress.get("stage")


def runs_again(job: JobHandle, attempt: int = 2) -> Callable[[], bool]:
    return lambda: job.refresh().body["attempt"] == attempt and stage(job) == "fit"


def events(job: JobHandle) -> list[str]:
    return [moment["event"] for moment in job.refresh().body["timeline"]]


def end(job: JobHandle) -> None:
    job.cancel()
    job.wait(20)


def test_the_job_of_a_killed_pool_child_runs_again_and_says_so(broken: Stack, client: Client) -> None:
    job = start_long_training(client)
    (child,) = children(broken.processes["trainer"].pid)

    os.kill(child, signal.SIGKILL)
    # Its parent reports it; that takes Celery's pool up to five seconds, and no lease has to run out.
    wait_for(runs_again(job), "the second run", 40)
    end(job)

    assert events(job)[:5] == ["accepted", "claimed", "lost", "retried", "claimed"]
    assert job.body["lost_attempts"] == 1


def test_the_job_of_a_killed_worker_runs_again_within_its_lease_and_five_seconds(broken: Stack, client: Client) -> None:
    names = iter(("heir1", "heir2", "heir3"))

    def seconds_until_it_runs_again() -> float:
        wait_for(lambda: broken.workers().get("train") == 1, "one trainer, and no heartbeats of a dead one", 60)
        job = start_long_training(client)
        heir = next(names)
        broken.start_worker(heir, "train", **SETTINGS)
        wait_for(lambda: broken.workers().get("train") == 2, "the second trainer", 60)
        broken.kill("trainer")
        killed_at = time.time()
        broken.processes["trainer"] = broken.processes.pop(heir)
        wait_for(runs_again(job), "the second run", 60)
        claims = [moment["at"] for moment in job.body["timeline"] if moment["event"] == "claimed"]
        end(job)
        assert len(claims) == 2
        return seconds(claims[1]) - killed_at

    assert holds_once(lambda: seconds_until_it_runs_again() < LEASE_S + 5)


def holds_once(is_in_time: Callable[[], bool]) -> bool:
    """Of three measurements one must hold: other tests run on this machine too."""
    return any(is_in_time() for _ in range(3))


def seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


def test_a_job_that_ends_its_process_each_time_becomes_a_dead_letter_and_its_neighbours_finish(
    broken: Stack, client: Client
) -> None:
    poison = start_long_training(client)
    neighbour = client.train("titanic", train.DATA, "survived", promote="never")

    # As the kernel out of memory, a wild pointer and an assertion in compiled code end a process.
    for attempt, number in enumerate((signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT), start=1):
        wait_for(lambda at=attempt: poison.refresh().body["attempt"] == at and poison.state == "running", "a run", 60)
        (child,) = children(broken.processes["trainer"].pid)
        os.kill(child, number)
        wait_for(lambda: poison.refresh().state != "running", "the loss", 40)
    neighbour.wait(60)
    letters = httpx2.get(f"{broken.url}/v1/dead-letters").json()["data"]

    assert (poison.state, poison.body["error"]["code"], poison.body["attempt"]) == ("failed", "worker_lost", 3)
    assert [letter["id"] for letter in letters] == [poison.id]
    assert neighbour.state == "succeeded"


def test_a_running_fit_that_is_canceled_ends_within_five_seconds_and_leaves_no_version(
    broken: Stack, client: Client
) -> None:
    versions = len(client.versions("hist"))

    def seconds_until_it_is_canceled() -> float:
        job = start_long_training(client)
        canceled_at = time.monotonic()
        job.cancel()
        assert job.wait(20).state == "canceled"
        return time.monotonic() - canceled_at

    assert holds_once(lambda: seconds_until_it_is_canceled() < 5)
    assert len(client.versions("hist")) == versions


def test_a_run_past_its_own_time_limit_is_ended_and_fails_as_timeout(broken: Stack, client: Client) -> None:
    uploaded = httpx2.post(
        f"{broken.url}/v1/files", content=Path(train.DATA).read_bytes(), headers={"Content-Type": "text/csv"}
    ).json()
    asked = {"file_id": uploaded["id"], "target": "survived", "params": {"model__max_iter": 100_000}, "timeout_s": 1}

    posted = httpx2.post(f"{broken.url}/v1/models/hist/trainings", json=asked)
    job = client.job(posted.json()["id"]).wait(30)

    assert (job.state, job.body["error"]["code"], job.body["attempt"]) == ("failed", "timeout", 1)


def test_a_stopping_worker_gives_back_what_it_runs_and_no_attempt_is_used_up(broken: Stack, client: Client) -> None:
    job = start_long_training(client)

    broken.stop("trainer")
    after_the_stop = job.refresh().state
    broken.start_worker("trainer", "train", **SETTINGS)
    wait_for(runs_again(job), "the second run", 60)
    end(job)

    assert after_the_stop == "queued"
    assert events(job)[:4] == ["accepted", "claimed", "given_back", "claimed"]
    assert job.body["lost_attempts"] == 0


def test_a_worker_that_is_told_to_quit_gives_back_at_once(broken: Stack, client: Client) -> None:
    job = start_long_training(client)

    trainer = broken.processes.pop("trainer")
    trainer.send_signal(signal.SIGQUIT)
    trainer.wait(60)
    after_the_stop = job.refresh().state
    broken.start_worker("trainer", "train", **SETTINGS)
    end(job)

    assert after_the_stop == "queued"


def test_a_deploy_under_load_loses_no_job_and_uses_up_no_attempt(broken: Stack, client: Client, worker: str) -> None:
    jobs: list[JobHandle] = []
    is_over = threading.Event()

    def load() -> None:
        while not is_over.wait(0.02):
            jobs.append(client.predict("titanic", [ROW]))

    loader = threading.Thread(target=load)
    loader.start()
    try:
        for old, new in (("w1", "w2"), ("w2", "w1")):
            broken.start_worker(new, **SETTINGS)
            wait_for(lambda: broken.workers().get("predict") == 2, "the new worker", 60)
            broken.stop(old)
    finally:
        is_over.set()
        loader.join()
    ended = [job.wait(60) for job in jobs]

    assert len(ended) > 50
    assert {job.state for job in ended} == {"succeeded"}
    assert {job.body["lost_attempts"] for job in ended} == {0}


def test_a_gateway_that_dies_between_record_and_answer_has_accepted_once(
    broken: Stack, client: Client, worker: str
) -> None:
    key, proxy, unheard = "between-record-and-answer", Proxy(broken.redis.port), []
    broken.stop("api")
    broken.start_api(redis_url=through(proxy, broken))
    submit(broken)  # the scripts are known to Redis from here on
    proxy.lose_answers_to(b"Idempotent-by-key")

    def ask() -> None:
        try:
            submit(broken, key, metadata={"mark": "Idempotent-by-key"})
        except httpx2.HTTPError as error:
            unheard.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    assert proxy.was_left_unanswered.wait(10)
    wait_for(lambda: is_known(key, broken), "the record", 20)
    broken.kill("api")
    asking.join()
    broken.start_api()
    again = [submit(broken, key, metadata={"mark": "Idempotent-by-key"}) for _ in range(2)]
    job = client.job(again[0].json()["id"]).wait(30)
    proxy.close()

    assert len(unheard) == 1
    assert [answer.headers["Idempotency-Replayed"] for answer in again] == ["true", "true"]
    assert {answer.json()["id"] for answer in again} == {job.id}
    assert job.state == "succeeded"


def is_known(key: str, stack: Stack) -> bool:
    with redis.Redis.from_url(stack.redis.url) as store:
        return bool(store.exists(f"qc:idempotency:{hashlib.sha256(key.encode()).hexdigest()}"))


def through(proxy: Proxy, stack: Stack) -> str:
    """The URL of the stack's Redis by way of the proxy."""
    return f"{stack.redis.url.partition('@')[0]}@127.0.0.1:{proxy.port}/0"


def is_running(pid: int) -> bool:
    """Whether the process is there, and not only its entry that its parent has not read yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_when_the_leading_reaper_is_killed_another_takes_over(
    broken: Stack, client: Client, store: redis.Redis
) -> None:
    job = start_long_training(client)
    wait_for(lambda: store.get("qc:reaper"), "a leader", 20)
    leading_pid = int(store.get("qc:reaper").split(b":")[1])
    (leader,) = (name for name in ("reaper1", "reaper2") if broken.processes[name].pid == leading_pid)

    broken.kill(leader)
    broken.kill("trainer")
    broken.start_worker("trainer", "train", **SETTINGS)
    wait_for(runs_again(job), "the second run", 60)
    end(job)
    broken.start_reaper(leader, **SETTINGS)

    assert job.body["lost_attempts"] == 1


def test_every_job_that_was_accepted_before_redis_was_killed_is_run_after_it(
    broken: Stack, client: Client, worker: str
) -> None:
    jobs = [client.predict("titanic", [ROW]) for _ in range(50)]

    broken.redis.kill()
    broken.redis.start()
    wait_for(lambda: httpx2.get(f"{broken.url}/readyz", timeout=30).status_code == 200, "readiness")
    ended = [job.wait(60) for job in jobs]

    assert {job.state for job in ended} == {"succeeded"}


def test_a_fit_goes_on_through_a_short_absence_of_redis(broken: Stack, client: Client) -> None:
    job = start_long_training(client)

    broken.redis.kill()
    broken.redis.start()
    wait_for(lambda: httpx2.get(f"{broken.url}/readyz", timeout=30).status_code == 200, "readiness")
    at = job.refresh().body["attempt"]
    end(job)

    assert at == 1
    assert job.state == "canceled"


def test_a_worker_that_cannot_reach_redis_for_its_lease_stops_what_it_runs(broken: Stack, client: Client) -> None:
    job = start_long_training(client)
    (child,) = children(broken.processes["trainer"].pid)

    broken.redis.kill()
    wait_for(lambda: not is_running(child), "the end of the run", 30)
    broken.redis.start()
    wait_for(runs_again(job), "the second run", 60)
    end(job)

    assert events(job)[:5] == ["accepted", "claimed", "lost", "retried", "claimed"]


def test_when_redis_is_full_submits_are_refused_and_what_was_accepted_is_run(
    broken: Stack, client: Client, store: redis.Redis
) -> None:
    accepted = [client.predict("titanic", [ROW]) for _ in range(20)]

    store.config_set("maxmemory", int(store.info("memory")["used_memory"] / 0.85))
    try:
        wait_for(lambda: submit(broken).json().get("code") == "store_full", "the refusal", 20)
        refused = submit(broken)
        broken.start_worker("w1", **SETTINGS)
        ended = [job.wait(60) for job in accepted]
    finally:
        store.config_set("maxmemory", 0)
    wait_for(lambda: submit(broken).status_code == 202, "acceptance", 20)
    broken.stop("w1")

    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
    assert {job.state for job in ended} == {"succeeded"}


def test_a_full_disk_refuses_uploads_and_leaves_nothing_behind(broken: Stack) -> None:
    broken.stop("api")
    broken.start_api(under="ulimit -f 100")  # 100 blocks of 1 KiB; a write beyond fails as on a full disk
    files = broken.folder / "data/files"
    before = sorted(path.name for path in files.iterdir())

    answer = httpx2.post(
        f"{broken.url}/v1/files", content=b"a,b\n" + b"1,2\n" * 100_000, headers={"Content-Type": "text/csv"}
    )
    broken.stop("api")
    broken.start_api()

    assert (answer.status_code, answer.json()["code"]) == (503, "files_full")
    assert sorted(path.name for path in files.iterdir()) == before


def test_a_worker_whose_clock_is_hours_ahead_neither_expires_nor_doubles_a_job(
    broken: Stack, client: Client, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text("import time\n_time = time.time\ntime.time = lambda: _time() + 7200\n")

    broken.start_worker("w1", python_path=tmp_path, **SETTINGS)
    answer = submit(broken, expires_in_s=60)
    job = client.job(answer.json()["id"]).wait(60)
    broken.stop("w1")

    assert (job.state, job.body["attempt"]) == ("succeeded", 1)
    assert abs(seconds(job.body["finished_at"]) - time.time()) < 60


def test_a_worker_that_is_cut_off_loses_its_job_to_another_and_cannot_write_over_it(
    broken: Stack, client: Client
) -> None:
    broken.stop("trainer")
    proxy = Proxy(broken.redis.port)
    broken.start_worker("trainer", "train", redis_url=through(proxy, broken), **SETTINGS)
    job = start_long_training(client)

    proxy.hold()
    broken.start_worker("trainer2", "train", **SETTINGS)
    wait_for(runs_again(job), "the second run", 60)
    proxy.release()
    attempt = job.refresh().body["attempt"]
    end(job)
    proxy.cut()
    after = client.train("titanic", train.DATA, "survived", promote="never").wait(60)
    broken.kill("trainer")
    proxy.close()
    broken.processes["trainer"] = broken.processes.pop("trainer2")

    assert attempt == 2
    assert (job.state, after.state) == ("canceled", "succeeded")


def test_a_frozen_worker_loses_its_job_and_its_late_answer_is_refused(broken: Stack, client: Client) -> None:
    job = start_long_training(client)
    frozen = broken.processes["trainer"].pid
    (child,) = children(frozen)

    os.killpg(frozen, signal.SIGSTOP)
    broken.start_worker("trainer2", "train", **SETTINGS)
    wait_for(runs_again(job), "the second run", 60)
    os.killpg(frozen, signal.SIGCONT)
    wait_for(lambda: not is_running(child), "the end of the old run", 40)
    present = job.refresh()
    end(job)
    broken.stop("trainer")
    broken.processes["trainer"] = broken.processes.pop("trainer2")

    assert (present.body["attempt"], job.state) == (2, "canceled")
