"""One live service for all tests of this folder, its OpenAPI document, and the programs that read the document."""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.conftest import require_service
from tests.system.conftest import START_WAIT_S, Stack, wait_for

HERE = Path(__file__).resolve().parent
MIN_NODE = (20, 19)  # Redocly's CLI needs it


def run(*command: str | Path, cwd: Path = HERE, **environ: str) -> subprocess.CompletedProcess[str]:
    """Runs a program and returns its exit code and output; `environ` is added to this process's environment."""
    return subprocess.run(
        command, cwd=cwd, env=os.environ | environ, check=False, capture_output=True, text=True, timeout=300
    )


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Iterator[Stack]:
    """Redis, the gateway, a prediction worker and a trainer, with the Titanic model pushed as version 1."""
    running = Stack(tmp_path_factory.mktemp("service"), repository)
    running.redis.start()
    try:
        running.start_api()
        running.start_worker("worker")
        running.start_worker("trainer", "train")
        running.start_reaper()
        wait_for(lambda: running.workers() == {"predict": 1, "train": 1}, "a worker and a trainer", START_WAIT_S)
        running.push_titanic()
        yield running
    finally:
        running.stop()
        running.redis.stop()


@pytest.fixture(scope="session")
def document(service: Stack, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file with the document that the gateway serves."""
    path = tmp_path_factory.mktemp("document") / "openapi.json"
    path.write_bytes(httpx2.get(f"{service.url}/openapi.json").raise_for_status().content)
    return path


@pytest.fixture(scope="session")
def table(repository: Path) -> Path:
    """A CSV file to train on."""
    return repository / "examples/titanic/titanic.csv"


@pytest.fixture(scope="session")
def node() -> str:
    """The path of Node.js."""
    found = shutil.which("node")
    version = run(found, "--version").stdout if found else "v0.0"
    major, minor = version.lstrip("v").split(".")[:2]
    is_there = (int(major), int(minor)) >= MIN_NODE and shutil.which("npm") is not None
    require_service(is_there, "Node.js {}.{} or later, with npm,".format(*MIN_NODE))
    return str(found)


@pytest.fixture(scope="session")
def node_modules(node: str) -> Path:
    """The folder of the packages that package-lock.json pins, installed once into the Python environment."""
    lock = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()
    home = Path(sys.prefix) / f"node-{lock[:12]}"
    if not home.exists():
        incoming = Path(tempfile.mkdtemp(prefix="node-", dir=sys.prefix))
        for name in ("package.json", "package-lock.json", ".npmrc"):
            shutil.copy(HERE / name, incoming)
        ended = run("npm", "ci", cwd=incoming)
        if ended.returncode != 0:
            shutil.rmtree(incoming)
            require_service(False, f"an npm package of package-lock.json ({ended.stderr.strip()[-300:]})")
        incoming.rename(home)
    return home / "node_modules"
