"""The shape of the product's code: small modules, small folders, one name for one thing, few constants, no cycles.

Each exception is a debt of today. Lower or remove it when the code allows, never add one.
"""

from collections import Counter, defaultdict
from pathlib import Path

import pytest

from tests.architecture import shape
from tests.architecture.shape import PRODUCT

MAX_LINES = 300
# Lines of the modules that are longer and do not say why ("Long because ..." in the docstring's first paragraph).
LONG: dict[str, int] = {}

MAX_MODULES = 15
# Modules of the folders that have more, `__init__.py` left out.
CROWDED: dict[str, int] = {}

# Entry points have the same name in each package.
ENTRY_POINTS = {"__init__.py", "__main__.py", "main.py"}
# The folders that may have a module of this name, because all of these modules are about one subject: a port, its
# adapters and its routes; the runner of each job type; the errors of each side.
ADAPTERS = "queuecast/adapters"
SUBJECTS = {
    "aliases.py": {"queuecast/ports", f"{ADAPTERS}/memory", f"{ADAPTERS}/redis", "api/routes"},
    "audit.py": {"queuecast/ports", f"{ADAPTERS}/disk"},
    "batches.py": {
        *("queuecast/ports", f"{ADAPTERS}/disk", f"{ADAPTERS}/memory", f"{ADAPTERS}/redis"),
        *("api/routes", "queuecast/cli"),
    },
    "clock.py": {"queuecast/ports", f"{ADAPTERS}/redis"},
    "doorbell.py": {"queuecast/ports", f"{ADAPTERS}/celery", f"{ADAPTERS}/memory"},
    "errors.py": {"queuecast/domain", "queuecast/client", "queuecast/cli", "api/http"},
    "files.py": {"queuecast/ports", "api/routes"},
    "job.py": {"queuecast/domain", "queuecast/client"},
    "jobs.py": {"queuecast/ports", f"{ADAPTERS}/memory", f"{ADAPTERS}/redis", "api/routes", "api/schemas"},
    "lanes.py": {"queuecast/ports", f"{ADAPTERS}/memory", f"{ADAPTERS}/redis"},
    "live_outcomes.py": {
        *("queuecast/ports", f"{ADAPTERS}/memory", f"{ADAPTERS}/redis/versions"),
        *("api/routes/outputs", "api/schemas"),
    },
    "models.py": {"queuecast/ports", f"{ADAPTERS}/disk", "api/routes"},
    "monitor.py": {"queuecast/ports", f"{ADAPTERS}/celery", f"{ADAPTERS}/memory"},
    "runner.py": {f"worker/{kind}" for kind in ("batches", "evaluations", "imports", "predictions", "trainings")},
    "shadows.py": {
        *("queuecast/domain", "queuecast/ports", f"{ADAPTERS}/memory", f"{ADAPTERS}/redis/versions"),
        *("api/routes", "api/schemas"),
    },
    "workers.py": {"queuecast/ports", f"{ADAPTERS}/memory", f"{ADAPTERS}/redis"},
}

# Numeric constants of modules and classes in 1,000 lines of queuecast, api and worker. The goal is under 3.
MAX_CONSTANTS = 2.8

# Groups of modules that import one another.
CYCLES: set[frozenset[str]] = set()


def test_no_module_is_long_without_a_reason() -> None:
    sources = {shape.shown(path): path.read_text() for path in shape.files(*PRODUCT, "deploy")}
    lines = {name: len(source.splitlines()) for name, source in sources.items()}
    long = {
        name: f"{lines[name]} lines, at most {LONG.get(name, MAX_LINES)} without a reason"
        for name, source in sources.items()
        if lines[name] > LONG.get(name, MAX_LINES) and not shape.reason_for_length(source)
    }

    assert long == {}


def test_no_folder_is_crowded() -> None:
    modules = Counter(
        shape.shown(path.parent) for path in shape.files(*PRODUCT, "deploy") if path.name != "__init__.py"
    )

    assert {folder: n for folder, n in modules.items() if n > CROWDED.get(folder, MAX_MODULES)} == {}


def test_no_two_modules_share_a_file_name() -> None:
    folders = defaultdict(set)
    for path in shape.files(*PRODUCT):
        if path.name not in ENTRY_POINTS:
            folders[path.name].add(shape.shown(path.parent))

    shared = {name: found for name, found in folders.items() if len(found) > 1}
    assert {name: found for name, found in shared.items() if not found <= SUBJECTS.get(name, set())} == {}


def test_numeric_constants_are_few() -> None:
    sources = [path.read_text() for path in shape.files(*PRODUCT)]
    constants = sum(len(shape.numeric_constants(source)) for source in sources)

    assert 1000 * constants / sum(len(source.splitlines()) for source in sources) <= MAX_CONSTANTS


def test_no_modules_import_one_another() -> None:
    graph = shape.imports(shape.files(*PRODUCT, "deploy"))

    assert len(graph) > 100
    assert shape.cycles(graph) - CYCLES == set()


def test_every_exception_is_still_needed() -> None:
    paths = shape.files(*PRODUCT, "deploy")
    lines = {shape.shown(path): len(path.read_text().splitlines()) for path in paths}
    modules = Counter(shape.shown(path.parent) for path in paths if path.name != "__init__.py")
    names = {shape.shown(path) for path in paths}
    cycles = shape.cycles(shape.imports(paths))

    assert [name for name in LONG if lines.get(name, 0) <= MAX_LINES] == []
    assert [folder for folder in CROWDED if modules[folder] <= MAX_MODULES] == []
    assert {f"{folder}/{name}" for name, folders in SUBJECTS.items() for folder in folders} - names == set()
    assert CYCLES - cycles == set()


def test_a_reason_for_length_is_a_line_of_the_first_paragraph() -> None:
    assert shape.reason_for_length('"""One.\nLong because it is a table."""') == "Long because it is a table."
    assert shape.reason_for_length('"""One.\n\nLong because it is a table."""') is None
    assert shape.reason_for_length('"""One, and not Long because it is."""') is None
    assert shape.reason_for_length("x = 1") is None


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("LIMIT = 3", ["LIMIT"]),
        ("_LIMIT_S: float = -3.5", ["_LIMIT_S"]),
        ("LIMIT = 4 * OTHER", ["LIMIT"]),
        ("LIMIT = OTHER", []),
        ("IS_SET = True", []),
        ("WORD = '3'", []),
        ("LIMITS = (1, 2)", []),
        ("limit = 3", []),
        ("class A:\n    LIMIT: ClassVar[int] = 3", ["LIMIT"]),
        ("class A:\n    class B:\n        LIMIT = 3", ["LIMIT"]),
        ("class A:\n    limit: int = 3", []),
        ("def f():\n    LIMIT = 3", []),
    ],
)
def test_which_constants_count(line: str, expected: list[str]) -> None:
    assert shape.numeric_constants(line) == expected


def test_a_cycle_is_found_through_types_functions_and_relative_imports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shape, "REPOSITORY", tmp_path)
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "one.py").write_text("if TYPE_CHECKING:\n    from package.two import Two\n")
    (package / "two.py").write_text("def load():\n    from . import three\n")
    (package / "three.py").write_text("import os\nimport package.one\n")
    (package / "four.py").write_text("from package import one\nfrom .two import Two\n")

    graph = shape.imports(shape.files("package"))

    assert graph["package.four"] == {"package.one", "package.two"}
    assert shape.cycles(graph) == {frozenset({"package.one", "package.two", "package.three"})}
