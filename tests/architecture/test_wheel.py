"""The wheel, which `pip install .` builds: it has all of the package, and the client runs from it alone."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def wheel(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"  # setuptools writes into the folder that it builds
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "queuecast"):
        subprocess.run(["cp", "-r", repository / name, source], check=True)
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*build, "--wheel-dir", folder, source], check=True, timeout=120)
    [built] = folder.glob("*.whl")
    return built


def test_the_wheel_has_every_module_but_those_for_tests(wheel: Path, repository: Path) -> None:
    package = repository / "queuecast"
    modules = {path.relative_to(repository).as_posix() for path in package.rglob("*.py")}
    scripts = {path.relative_to(repository).as_posix() for path in package.rglob("*.lua")}
    for_tests = {name for name in modules if name.startswith("queuecast/adapters/memory/")}

    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if name.endswith((".py", ".lua"))}

    assert len(for_tests) > 5
    assert packed == (modules | scripts) - for_tests


def test_the_client_and_the_command_line_are_imported_from_the_wheel(wheel: Path, tmp_path: Path) -> None:
    code = f"import sys; sys.path.insert(0, {str(wheel)!r}); import queuecast, queuecast.client.client; "
    code += "import queuecast.cli.main; from queuecast import Client, holdout; print(queuecast.client.client.__file__)"

    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
    )

    assert ran.stdout.startswith(str(wheel))
