"""The import rules of the rooms, by the imports that are written and by the modules that are loaded."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from queuecast.config import Settings

NO_REDIS = "redis://127.0.0.1:1/0"  # the gateway checks one that answers at its start
NUMERIC = {"sklearn", "numpy", "scipy", "pandas", "joblib", "skops"}


def imported_by(path: Path) -> set[str]:
    """The modules that a file names in its imports, relative ones left out (there are none)."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found


def loaded_by(statement: str, repository: Path) -> set[str]:
    """The top-level packages in a fresh interpreter after `statement`."""
    code = f"{statement}\nimport sys\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    environ = os.environ | {"QUEUECAST_REDIS_URL": NO_REDIS}
    ended = subprocess.run(
        [sys.executable, "-c", code],
        cwd=repository,
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return set(ended.stdout.split())


def test_the_domain_imports_the_standard_library_and_itself_only(repository: Path) -> None:
    named = {module for path in (repository / "queuecast/domain").rglob("*.py") for module in imported_by(path)}

    foreign = {
        name
        for name in named
        if name.split(".")[0] not in sys.stdlib_module_names and not name.startswith("queuecast.domain")
    }
    assert len(named) > 5
    assert foreign == set()


def test_the_ports_import_the_standard_library_the_domain_and_themselves_only(repository: Path) -> None:
    named = {module for path in (repository / "queuecast/ports").glob("*.py") for module in imported_by(path)}

    foreign = {
        name
        for name in named
        if name.split(".")[0] not in sys.stdlib_module_names
        and not name.startswith(("queuecast.domain.", "queuecast.ports."))
    }
    assert len(named) > 5
    assert foreign == set()


def test_the_domain_has_no_clock_and_no_io(repository: Path) -> None:
    sources = [path.read_text() for path in (repository / "queuecast/domain").rglob("*.py")]
    named = {module for path in (repository / "queuecast/domain").rglob("*.py") for module in imported_by(path)}
    # datetime and os are imported for their types.
    reading = re.compile(r"\b(?:now|utcnow|today)\(|\bos\.")

    assert named.isdisjoint({"time", "io", "pathlib", "socket", "random", "uuid", "logging"})
    assert [found for source in sources for found in reading.findall(source)] == []


def test_every_import_contract_holds(repository: Path) -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    configuration = tomllib.loads((repository / "pyproject.toml").read_text())
    contracts = configuration["tool"]["importlinter"]["contracts"]
    ended = subprocess.run(
        [lint, "--no-cache"], cwd=repository, capture_output=True, text=True, timeout=120, check=False
    )

    assert ended.returncode == 0, ended.stdout
    assert len(contracts) > 10
    assert f"{len(contracts)} kept, 0 broken" in ended.stdout


@pytest.mark.parametrize(
    ("statement", "forbidden"),
    [
        ("import queuecast", {"redis", "celery", "flask", "sklearn", "numpy", "pandas", "httpx2"}),
        ("from queuecast import Client", {"redis", "celery", "kombu", "flask", "sklearn", "numpy", "pandas"}),
        ("import queuecast.cli.main", {"redis", "celery", "kombu", "flask", "sklearn", "numpy", "pandas"}),
        ("import api.main", NUMERIC | {"worker", "flask_swagger_ui", "rich"}),
        ("import worker.reaper.__main__", NUMERIC | {"flask", "api", "rich"}),
        ("import worker.main", {"flask", "werkzeug", "granian", "flask_swagger_ui", "api"}),
    ],
)
def test_a_room_loads_nothing_of_another(statement: str, forbidden: set[str], repository: Path) -> None:
    loaded = loaded_by(statement, repository)

    assert "queuecast" in loaded
    assert loaded & forbidden == set()


def test_the_procfile_and_the_image_serve_the_gateway_by_the_same_script(repository: Path) -> None:
    line = next(line for line in (repository / "Procfile").read_text().splitlines() if line.startswith("api:"))
    image = (repository / "Dockerfile.api").read_text()
    script = (repository / "deploy/serve_api.sh").read_text()

    assert "exec sh deploy/serve_api.sh " in line
    assert line.endswith("--factory api.serve:gateway")
    assert 'CMD ["sh", "serve_api.sh", ' in image
    assert '"--factory", "api.serve:gateway"]' in image
    assert len(re.findall(r"^export (?:MALLOC_ARENA_MAX|GLIBC_TUNABLES|_RJEM_MALLOC_CONF)=\S+$", script, re.M)) == 3


def test_flower_has_the_same_columns_in_the_terminal_and_in_its_container(repository: Path) -> None:
    line = next(line for line in (repository / "Procfile").read_text().splitlines() if line.startswith("flower:"))
    options = (repository / "deploy/compose/flowerconfig.py").read_text()

    for name in ("tasks-columns", "purge-offline-workers"):
        (value,) = re.findall(rf"--{name}=(\S+)", line)
        assert re.search(rf'^{name.replace("-", "_")} = "?{re.escape(value)}\b', options, re.M), name


@pytest.mark.parametrize("name", ["MALLOC_ARENA_MAX", "GLIBC_TUNABLES", "_RJEM_MALLOC_CONF"])
def test_the_environment_overrides_the_tuning_of_memory(repository: Path, tmp_path: Path, name: str) -> None:
    program = tmp_path / "granian"
    program.write_text(f'#!/bin/sh\necho "${name}"\n')
    program.chmod(0o755)
    script = ["sh", str(repository / "deploy/serve_api.sh"), "api.serve:gateway"]
    path = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}

    shown = [
        subprocess.run(script, env=path | more, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
        for more in ({}, {name: "glibc.malloc.arena_max=2"})
    ]

    assert shown[0] not in ("", shown[1])
    assert shown[1] == "glibc.malloc.arena_max=2"


def test_nothing_but_the_configuration_reads_the_environment(repository: Path) -> None:
    readers = {
        path.relative_to(repository).as_posix()
        for room in ("queuecast", "api", "worker")
        for path in (repository / room).rglob("*.py")
        if any(
            isinstance(node, ast.Attribute)
            and node.attr in ("environ", "getenv")
            and ast.unparse(node.value) not in ("request", "current", "self")
            for node in ast.walk(ast.parse(path.read_text()))
        )
    }

    # The worker sets thread counts before numpy reads them; the client has one variable of its own, its address.
    assert readers == {"queuecast/config.py", "worker/thread_limits.py", "queuecast/client/client.py"}


def test_the_parent_process_of_a_worker_computes_nothing(repository: Path) -> None:
    """OpenMP work before the fork would hang the children: importing the worker must start no thread pool."""
    code = (
        "import worker.main, threading, os\n"
        "print(threading.active_count(), len(os.listdir('/proc/self/task')), os.environ['OMP_NUM_THREADS'])"
    )
    if sys.platform != "linux":
        pytest.skip("reads /proc")
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=repository, capture_output=True, text=True, timeout=60, check=True
    )

    assert ended.stdout.split() == ["1", "1", "1"]


def test_settings_have_reasons() -> None:
    reasons = [field.metadata["reason"] for field in Settings.__dataclass_fields__.values()]

    assert all(len(reason) > 10 for reason in reasons)
