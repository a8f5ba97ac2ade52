"""The live service against its document, by generated requests: Schemathesis's own runner, after all other tests.

All of its checks, in all of its phases: examples, coverage of each keyword, fuzzing, and sequences along the links.
`tests/api/test_contract.py` does the same in one process, operation by operation, with fewer checks.
"""

import shutil
import sys
from pathlib import Path

import pytest

from tests.openapi.conftest import HERE, run
from tests.openapi.narrowed import narrowed
from tests.system.conftest import Stack

pytestmark = [pytest.mark.redis, pytest.mark.xdist_group("openapi")]


def test_all_checks_hold_in_all_phases(
    service: Stack, document: Path, table: Path, repository: Path, tmp_path: Path
) -> None:
    shutil.copy(service.folder / "data/models/titanic/1/model.skops", tmp_path)
    shutil.copy(table, tmp_path / "example.csv")
    (tmp_path / "narrowed.json").write_text(narrowed(document, service.url, "titanic", table, "survived"))
    program = Path(sys.executable).with_name("schemathesis")
    options = ["--checks", "all", "--no-color", "--url", service.url]

    ended = run(
        *(program, "--config-file", HERE / "schemathesis.toml", "run", tmp_path / "narrowed.json", *options),
        cwd=tmp_path,
        PYTHONPATH=str(repository),
        SCHEMATHESIS_HOOKS="tests.openapi.schemathesis_hooks",
        OPENAPI_TEST_FOLDER=str(tmp_path),
    )

    assert ended.returncode == 0, ended.stdout[-20_000:] + ended.stderr
    assert "Stateful (in" in ended.stdout
