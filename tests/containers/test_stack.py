"""The containers as a user starts them: they predict, scale and retrain, appear in Flower, and are locked down."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import httpx2
import pandas as pd
import pytest
from sklearn.pipeline import Pipeline

import queuecast
from examples.titanic.train import COLUMNS, TARGET, passengers
from tests.containers.conftest import VERSION, ComposeStack, docker, pushed, succeeded, training_rows, wait_until

pytestmark = pytest.mark.docker

SERVICES = ("redis", "api", "worker", "trainer", "reaper", "flower")
PUBLISHED = {"api", "flower"}


@pytest.fixture(scope="module")
def titanic(gateway: httpx2.Client) -> Pipeline:
    """The estimator that was pushed as `titanic`, fitted in this process."""
    return pushed(gateway, "titanic", training_rows())


def submitted(gateway: httpx2.Client, model: str, rows: pd.DataFrame, method: str = "predict") -> str:
    """The id of a new prediction job."""
    body = {"inputs": json.loads(rows[COLUMNS].to_json(orient="records")), "method": method}
    answer = gateway.post(f"/v1/models/{model}/predictions", json=body)
    assert answer.status_code == 202, answer.text
    return answer.json()["id"]


def predicted(gateway: httpx2.Client, model: str, rows: pd.DataFrame) -> dict[str, Any]:
    return succeeded(gateway, submitted(gateway, model, rows))


def host_of(job: dict[str, Any]) -> str:
    """The container that ran the job, from the name of its worker: host.start:process."""
    return re.split("[.:]", job["worker"])[0]


def health(stack: ComposeStack, service: str) -> set[str]:
    return {container["State"]["Health"]["Status"] for container in stack.containers(service)}


def test_thirty_predictions_equal_those_of_the_estimator_and_come_from_several_containers(
    gateway: httpx2.Client, titanic: Pipeline, stack: ComposeStack
) -> None:
    rows = passengers().iloc[::29].head(30)
    expected = titanic.predict_proba(rows[COLUMNS])

    ids = [submitted(gateway, "titanic", rows.iloc[[number]], "predict_proba") for number in range(30)]
    jobs = [succeeded(gateway, job_id) for job_id in ids]

    found = [job["result"]["probabilities"][0] for job in jobs]
    assert found == [pytest.approx(list(row), rel=1e-9) for row in expected]
    hosts = {container["Config"]["Hostname"] for container in stack.containers("worker")}
    answered_by = {host_of(job) for job in jobs}
    assert answered_by <= hosts
    assert len(answered_by) >= 2


def test_a_retrained_version_is_served_without_a_restart(gateway: httpx2.Client, stack: ComposeStack) -> None:
    """The first version is fitted on few passengers, so the second version is better and becomes champion."""
    pushed(gateway, "retrained", training_rows().sample(40, random_state=0))
    row = passengers().head(1)
    before = predicted(gateway, "retrained", row)
    started = {container["Id"]: container["State"]["StartedAt"] for container in stack.containers("worker")}
    csv = passengers().to_csv(index=False)

    file = gateway.post("/v1/files", content=csv.encode(), headers={"Content-Type": "text/csv"})
    assert file.status_code == 201, file.text
    body = {"file_id": file.json()["id"], "target": TARGET}
    training = gateway.post("/v1/models/retrained/trainings", json=body)
    assert training.status_code == 202, training.text
    result = succeeded(gateway, training.json()["id"])["result"]

    assert before["model"]["version"] == 1
    assert (result["version"], result["promoted"]) == (2, True), result
    answered = [predicted(gateway, "retrained", row) for _ in range(9)]
    assert {job["result"]["model"]["version"] for job in answered} == {2}
    assert {container["Id"]: container["State"]["StartedAt"] for container in stack.containers("worker")} == started


def test_no_job_is_lost_while_workers_stop_and_start(
    gateway: httpx2.Client, titanic: Pipeline, stack: ComposeStack
) -> None:
    rows = pd.concat([passengers()] * 3)
    expected = titanic.predict(rows[COLUMNS]).tolist()
    enough = Event()

    def keep_submitting() -> list[dict[str, Any]]:
        jobs = []
        while not enough.is_set():
            jobs.append(predicted(gateway, "titanic", rows))
        return jobs

    def answering_workers() -> int:
        return gateway.get("/readyz").json()["workers"].get("predict", 0)

    with ThreadPoolExecutor(8) as clients:  # more jobs in flight than workers, so that each stop hits a busy worker
        futures = [clients.submit(keep_submitting) for _ in range(8)]
        try:
            stack.scale_workers(1)
            assert len(stack.containers("worker")) == 1
            stack.scale_workers(4)
            wait_until("four workers answer", lambda: answering_workers() == 4)
        finally:
            enough.set()
        jobs = [job for future in futures for job in future.result()]

    assert jobs
    assert all(job["result"]["predictions"] == expected for job in jobs)
    hosts = {container["Config"]["Hostname"]: container["Id"] for container in stack.containers("worker")}
    docker("pause", *hosts.values())  # a worker notifies another only if more rows wait than one claim takes
    try:
        last = [submitted(gateway, "titanic", rows) for _ in range(40)]
    finally:
        docker("unpause", *hosts.values())
    assert len({host_of(succeeded(gateway, each)) for each in last} & set(hosts)) >= 3
    wait_until("the workers are healthy after their pause", lambda: health(stack, "worker") == {"healthy"})


def test_flower_lists_every_worker(flower: httpx2.Client, stack: ComposeStack) -> None:
    predicting = {f"predict@{container['Config']['Hostname']}" for container in stack.containers("worker")}
    training = {f"train@{container['Config']['Hostname']}" for container in stack.containers("trainer")}

    found = flower.get("/api/workers", params={"refresh": "1"})

    assert predicting | training <= set(found.json())
    assert stack.secret("redis_password") not in found.text


def test_flower_lists_jobs_by_id_name_and_runtime_and_shows_no_rows(
    flower: httpx2.Client, gateway: httpx2.Client, titanic: Pipeline
) -> None:
    job = predicted(gateway, "titanic", passengers().head(1))
    version = job["model"]["version"]

    def tasks() -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = flower.get("/api/tasks", params={"limit": 10_000}).json()
        return found

    wait_until("Flower shows the job as ended", lambda: (tasks().get(job["id"]) or {}).get("runtime"))
    ended = tasks()[job["id"]]
    assert (ended["name"], ended["state"]) == ("titanic.predict", "SUCCESS")
    assert f"'version': {version}," in ended["kwargs"]
    assert re.match("[a-z]+@", ended["worker"])
    shown = {task["name"] for task in tasks().values()}
    assert all(re.fullmatch(r"[^.]+\.(predict|batch|train|import)", name) for name in shown), shown
    assert "embarked" not in json.dumps(ended)


@pytest.mark.parametrize("path", ["/", "/tasks", "/api/workers", "/api/tasks", "/broker"])
def test_flower_requires_its_password(stack: ComposeStack, path: str) -> None:
    assert httpx2.get(stack.flower_url + path).status_code == 401
    assert httpx2.get(stack.flower_url + path, auth=("flower", "flower")).status_code == 401


def test_flower_is_read_only(flower: httpx2.Client, stack: ComposeStack) -> None:
    worker = f"predict@{stack.containers('worker')[0]['Config']['Hostname']}"

    assert flower.post(f"/api/worker/shutdown/{worker}").status_code == 403


@pytest.mark.parametrize("service", SERVICES)
def test_a_container_is_locked_down(stack: ComposeStack, service: str) -> None:
    for container in stack.containers(service):
        host = container["HostConfig"]
        assert container["Config"]["User"] == ("redis" if service == "redis" else "10001:10001")
        assert host["ReadonlyRootfs"]
        assert host["CapDrop"] == ["ALL"]
        assert not host["CapAdd"]
        assert "no-new-privileges:true" in host["SecurityOpt"]
        assert not host["Privileged"]
        assert host["Init"]
        assert host["Memory"] > 0
        assert host["MemorySwap"] == host["Memory"]
        assert host["NanoCpus"] > 0
        assert host["PidsLimit"] > 0
        assert host["RestartPolicy"]["Name"] == "unless-stopped"
        assert host["LogConfig"]["Config"] == {"max-file": "3", "max-size": "10m"}
        assert container["Config"]["StopTimeout"] == 60
        assert container["State"]["Health"]["Status"] == "healthy"


@pytest.mark.parametrize("service", ["api", "worker", "trainer", "reaper", "flower"])
def test_a_container_whose_process_dies_is_restarted(stack: ComposeStack, service: str) -> None:
    """After `docker kill` the engine would not restart the container, so the process is killed from inside."""
    container = stack.containers(service)[0]

    stack.kill_inside(container["Id"])

    wait_until(f"{service} is up again", lambda: stack.has_restarted(container), 90)


@pytest.mark.parametrize("service", SERVICES)
def test_a_process_in_a_container_has_no_privileges(stack: ComposeStack, service: str) -> None:
    status = dict(
        line.split(":", 1) for line in stack.run_in(service, "cat", "/proc/1/status").splitlines() if ":" in line
    )

    assert "0" not in status["Uid"].split()
    assert int(status["CapBnd"], 16) == 0
    assert status["NoNewPrivs"].strip() == "1"
    assert "Read-only" in stack.run_in(service, "sh", "-c", "touch /written 2>&1", check=False)


@pytest.mark.parametrize("service", SERVICES)
def test_ports_are_published_on_the_loopback_only(stack: ComposeStack, service: str) -> None:
    bindings = [
        binding
        for container in stack.containers(service)
        for published in container["NetworkSettings"]["Ports"].values()
        for binding in published or []
    ]

    assert bool(bindings) == (service in PUBLISHED)
    assert {binding["HostIp"] for binding in bindings} <= {"127.0.0.1"}


def test_other_containers_reach_the_gateway_by_the_name_of_its_service_only(stack: ComposeStack) -> None:
    program = (
        "import sys, urllib.request as r; print(r.urlopen(r.Request('http://api:8000/readyz', headers=%s)).status)"
    )

    answered = stack.run_in("flower", "python", "-c", program % "{}")
    refused = stack.run_in("flower", "python", "-c", program % "{'Host': 'evil.example'}", check=False)

    assert (answered.strip(), refused.strip()) == ("200", "")


@pytest.mark.parametrize("service", ["redis", "worker", "trainer", "reaper"])
def test_an_internal_container_has_no_route_to_other_networks(stack: ComposeStack, service: str) -> None:
    networks = list(stack.containers(service)[0]["NetworkSettings"]["Networks"])
    assert [json.loads(docker("network", "inspect", network))[0]["Internal"] for network in networks] == [True]

    routes = stack.run_in(service, "cat", "/proc/net/route").splitlines()[1:]
    assert "00000000" not in {line.split()[1] for line in routes}


def test_only_trainer_and_reaper_write_models_and_a_worker_writes_only_batches(stack: ComposeStack) -> None:
    def writable(service: str) -> dict[str, bool]:
        mounts = stack.containers(service)[0]["Mounts"]
        return {mount["Destination"]: mount["RW"] for mount in mounts if mount["Destination"].startswith("/data")}

    assert writable("trainer") == {"/data/models": True, "/data/files": True}
    assert writable("reaper") == {"/data/models": True, "/data/files": True, "/data/batches": True}
    assert writable("api") == {"/data/models": False, "/data/files": True, "/data/batches": False}
    assert writable("worker") == {"/data/models": False, "/data/files": False, "/data/batches": True}


def test_docker_inspect_and_the_logs_show_no_password(stack: ComposeStack) -> None:
    shown = json.dumps([stack.containers(service) for service in SERVICES]) + stack.compose("logs", "--no-color")

    assert stack.secret("redis_password") not in shown
    assert stack.secret("flower_password") not in shown


def test_redis_requires_its_password(stack: ComposeStack) -> None:
    assert stack.run_in("redis", "redis-cli", "ping", check=False).startswith("NOAUTH")


def test_redis_is_durable_and_refuses_administrative_commands(stack: ComposeStack) -> None:
    def answer(*command: str) -> str:
        login = f"REDISCLI_AUTH=$(cat /run/queuecast/redis_password) redis-cli {' '.join(command)}"
        return stack.run_in("redis", "sh", "-c", login)

    assert "aof_enabled:1" in answer("info", "persistence")
    assert "maxmemory_policy:noeviction" in answer("info", "memory")
    for forbidden in (("config", "get", "dir"), ("flushall",), ("keys", "'*'"), ("shutdown",)):
        assert answer(*forbidden).startswith("NOPERM")


@pytest.mark.parametrize(
    ("image", "has", "lacks"),
    [
        ("api", {"flask", "granian"}, {"sklearn", "numpy", "scipy", "pandas", "joblib", "skops", "worker"}),
        ("worker", {"sklearn", "skops"}, {"flask", "werkzeug", "granian", "flask_swagger_ui", "flower", "api"}),
        ("flower", {"flower"}, {"sklearn", "numpy", "flask", "granian", "api", "worker"}),
    ],
)
@pytest.mark.usefixtures("stack")
def test_an_image_contains_only_what_it_needs(image: str, has: set[str], lacks: set[str]) -> None:
    script = (
        "import json, shutil, sys, importlib.util as u\n"
        "modules = [m for m in sys.argv[1].split() if u.find_spec(m)]\n"
        "programs = [p for p in 'gcc cc g++ clang make ld pip git curl'.split() if shutil.which(p)]\n"
        "print(json.dumps([modules, programs]))"
    )
    names = " ".join(sorted(has | lacks | {"pip"}))

    found = docker(
        "run",
        "--rm",
        "--network=none",
        "--entrypoint=python",
        f"queuecast-{image}:{VERSION}",
        "-c",
        script,
        names,
    )

    assert json.loads(found) == [sorted(has), []]


@pytest.mark.parametrize("image", ["api", "worker", "flower"])
@pytest.mark.usefixtures("stack")
def test_an_image_has_a_user_and_labels(image: str) -> None:
    config = json.loads(docker("image", "inspect", f"queuecast-{image}:{VERSION}"))[0]["Config"]

    assert config["User"] == "10001:10001"
    assert config["Labels"]["org.opencontainers.image.title"] == f"queuecast-{image}"
    assert config["Labels"]["org.opencontainers.image.version"] == VERSION
    assert config["Labels"]["org.opencontainers.image.licenses"] == "MIT"


def test_jobs_models_and_passwords_outlive_the_containers(
    stack: ComposeStack, gateway: httpx2.Client, titanic: Pipeline
) -> None:
    job = predicted(gateway, "titanic", passengers().head(1))
    password = stack.secret("flower_password")

    stack.compose("down")
    stack.up()

    assert succeeded(gateway, job["id"])["result"] == job["result"]
    assert predicted(gateway, "titanic", passengers().head(1))["model"]["version"] == job["model"]["version"]
    assert stack.secret("flower_password") == password


def test_images_are_tagged_with_the_version_of_the_code(repository: Path) -> None:
    compose = (repository / "docker-compose.yml").read_text()

    assert set(re.findall(r"QUEUECAST_VERSION:-([^}]+)}", compose)) == {queuecast.__version__}
