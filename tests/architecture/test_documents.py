"""Nothing that a user can touch is undocumented, and nothing is documented that is not there."""

import json
import re
import subprocess
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

import click
import pytest

from queuecast.cli.main import main
from queuecast.config import Settings, variable
from tests.api.conftest import Gateway as GatewayInMemory


class Gateway(NamedTuple):
    openapi: str
    spec: Any
    routes: set[tuple[str, str]]
    """Methods and paths."""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Gateway:
    app = GatewayInMemory(tmp_path_factory.mktemp("gateway")).app()
    openapi = app.test_client().get("/openapi.json").text
    routes = {(method, rule.rule) for rule in app.url_map.iter_rules() for method in rule.methods or ()}
    return Gateway(openapi, json.loads(openapi), routes)


def rows(path: Path, first: str) -> list[list[str]]:
    """The rows of the tables in a page whose first cell matches, cell by cell, without backticks."""
    lines = [line for line in path.read_text().splitlines() if re.match(rf"\| `{first}", line)]
    return [[cell.strip().strip("`") for cell in line.strip("| ").split(" | ")] for line in lines]


def commands(group: click.Group, prefix: str = "") -> set[str]:
    found = set()
    ctx = click.Context(group)
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        found.add(f"{prefix}{name}")
        if isinstance(command, click.Group):
            found |= commands(command, f"{prefix}{name} ")
    return found


def test_every_setting_has_its_row_with_its_default(repository: Path) -> None:
    documented = {row[0]: row[1] for row in rows(repository / "docs/configuration.md", "QUEUECAST_")}

    assert documented == {variable(field.name): str(field.default) for field in fields(Settings)}


def test_every_operation_has_its_row_with_its_statuses(repository: Path, gateway: Gateway) -> None:
    operations = {
        (method.upper(), path): " ".join(sorted(operation["responses"]))
        for path, methods in gateway.spec["paths"].items()
        for method, operation in methods.items()
    }

    documented = {(row[0], row[1]): row[3] for row in rows(repository / "docs/03-api.md", "[A-Z]+`")}

    assert documented == operations


def test_every_route_is_in_the_openapi_document(gateway: Gateway) -> None:
    routes = {
        (method, re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", path))
        for method, path in gateway.routes
        if method not in ("HEAD", "OPTIONS")
    }

    described = {(method.upper(), path) for path, methods in gateway.spec["paths"].items() for method in methods}

    assert gateway.spec["openapi"].startswith("3.1")
    assert routes - described == {("GET", "/openapi.json"), ("GET", "/docs")}
    assert described - routes == set()


def test_every_reference_of_the_openapi_document_resolves(gateway: Gateway) -> None:
    operations = [operation for methods in gateway.spec["paths"].values() for operation in methods.values()]

    named = set(re.findall(r'"#/components/schemas/([^"]+)"', gateway.openapi))

    assert named <= set(gateway.spec["components"]["schemas"])
    assert len({operation["operationId"] for operation in operations}) == len(operations)


def test_every_command_has_its_row(repository: Path) -> None:
    documented = {
        " ".join(re.findall(r"^queuecast ((?:[a-z][a-z-]* ?)+)", row[0])).strip()
        for row in rows(repository / "docs/05-cli.md", "queuecast ")
    }

    assert documented == commands(main)


def test_every_link_in_the_documents_leads_somewhere(repository: Path) -> None:
    broken = []
    for page in [
        repository / "README.md",
        *(repository / "docs").glob("*.md"),
        *(repository / "examples").rglob("*.md"),
    ]:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            if not target.startswith("http") and not (page.parent / target).exists():
                broken.append(f"{page.name}: {target}")

    assert broken == []


def test_no_tracked_file_names_a_registry_or_leaves_a_note_to_oneself(repository: Path) -> None:
    if not (repository / ".git").exists():
        pytest.skip("not a git checkout")
    names = [
        "pypi" + ".org",
        "python" + "hosted.org",
        "registry.npm" + "js",
        "deb.debian" + ".org",
        "TO" + "DO",
        "FIX" + "ME",
    ]
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=repository, capture_output=True, text=True, check=True
    ).stdout.split()

    found = [
        (name, path)
        for path in tracked
        if (repository / path).is_file()
        for name in names
        if name in (repository / path).read_text(errors="replace")
    ]

    assert found == []


def test_every_failure_in_the_operations_page_names_tests_that_exist(repository: Path) -> None:
    text = (repository / "docs/06-operations.md").read_text()
    section = text.partition("## What happens when a part fails")[2].partition("\n## ")[0]
    failures = section.split("\n### ")[1:]

    named = [re.findall(r"`(tests/[a-z_/]+\.py)::(test_[a-z0-9_]+)`", failure) for failure in failures]
    missing = [name for tests in named for path, name in tests if f"def {name}(" not in (repository / path).read_text()]
    assert len(failures) > 10
    assert [failure for failure, tests in zip(failures, named, strict=True) if not tests] == []
    assert missing == []
