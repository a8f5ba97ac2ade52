"""The types that openapi-typescript generates are exact, and work with openapi-fetch against the live service."""

import json
import re
import shutil
from pathlib import Path

import pytest

from tests.openapi.conftest import HERE, run
from tests.system.conftest import Stack

pytestmark = [pytest.mark.redis, pytest.mark.xdist_group("openapi")]


@pytest.fixture(scope="module")
def project(document: Path, node: str, node_modules: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the script and the generated types."""
    folder = tmp_path_factory.mktemp("typescript")
    for name in ("typescript_client.ts", "tsconfig.json"):
        shutil.copy(HERE / name, folder)
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "node_modules").symlink_to(node_modules)
    program = node_modules / "openapi-typescript/bin/cli.js"
    # Without the option, every field that has a default would be required.
    options = [document, "--default-non-nullable", "false", "--output", folder / "queuecast.d.ts"]
    ended = run(node, program, *options)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return folder


def test_nothing_is_typed_as_an_empty_object(project: Path) -> None:
    types = (project / "queuecast.d.ts").read_text()

    # Exported types stand for whole sections that the document does not have.
    empty = [line for line in types.splitlines() if "Record<string, never>" in line and not line.startswith("export")]
    assert empty == []
    assert re.search(r"Metadata: \{\s+\[key: string\]: unknown;", types)


def test_the_script_type_checks_and_predicts_batches_trains_promotes_and_rolls_back(
    project: Path, node: str, service: Stack, table: Path
) -> None:
    checked = run(node, "node_modules/typescript/bin/tsc", cwd=project)
    assert checked.returncode == 0, checked.stdout

    ended = run(node, "built/typescript_client.js", service.url, table, cwd=project)

    assert ended.returncode == 0, ended.stderr
    seen = json.loads(ended.stdout)
    assert [len(row) for row in seen["probabilities"]] == [2, 2]
    assert seen["answered_by"] == 1
    assert (seen["batch_rows"], len(seen["answers"])) == (2, 2)
    assert all(-0.7 < score < -0.2 for score in seen["scores"])
    assert seen["promoted"] == seen["trained"] > 1
    assert seen["back"] == seen["before"] < seen["trained"]
    assert seen["listed"][:3] == ["training", "batch", "prediction"]
