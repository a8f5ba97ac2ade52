"""The client that openapi-python-client generates is complete and typed, and works against the live service."""

import json
import os
import sys
from pathlib import Path

import pytest

from tests.openapi.conftest import HERE, run
from tests.system.conftest import Stack

pytestmark = [pytest.mark.redis, pytest.mark.xdist_group("openapi")]
SCRIPT = HERE / "python_client.py"


@pytest.fixture(scope="module")
def generated(document: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the generated package."""
    folder = tmp_path_factory.mktemp("python") / "client"
    options = ["--path", document, "--config", HERE / "python_client.yaml", "--output-path", folder]
    ended = run(sys.executable, "-m", "openapi_python_client", "generate", "--fail-on-warning", *options)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "WARNING" not in ended.stdout + ended.stderr
    return folder


def test_every_operation_is_in_the_client(generated: Path, document: Path) -> None:
    paths = json.loads(document.read_text())["paths"]
    operations = {each["operationId"] for path in paths.values() for each in path.values()}

    found = {path.stem for path in (generated / "queuecast_client/api").glob("*/*.py")} - {"__init__"}

    assert found == operations


def test_the_client_and_a_script_that_uses_it_have_strict_types(generated: Path, tmp_path: Path) -> None:
    ended = run(
        *(sys.executable, "-m", "mypy", "--strict", "--config-file", os.devnull, "--cache-dir", tmp_path),
        *(SCRIPT, generated / "queuecast_client"),
        MYPYPATH=str(generated),
    )

    assert ended.returncode == 0, ended.stdout


def test_the_script_predicts_batches_trains_promotes_and_rolls_back(
    generated: Path, service: Stack, table: Path
) -> None:
    ended = run(sys.executable, SCRIPT, service.url, table, PYTHONPATH=str(generated))

    assert ended.returncode == 0, ended.stderr
    seen = json.loads(ended.stdout)
    assert [len(row) for row in seen["probabilities"]] == [2, 2]
    assert seen["answered_by"] == 1
    assert (seen["batch_rows"], len(seen["answers"]), seen["bad_rows"]) == (2, 1 + 2, "")
    assert all(-0.7 < score < -0.2 for score in seen["scores"])
    assert seen["promoted"] == seen["trained"] > 1
    assert seen["back"] == seen["before"] < seen["trained"]
    assert seen["listed"][:3] == ["training", "batch", "prediction"]
