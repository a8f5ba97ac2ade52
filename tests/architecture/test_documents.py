"""Nothing that a user can touch is undocumented, and nothing is documented that is not there."""

import json
import re
import subprocess
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

import click
import pytest

from api.routes.jobs import FAILURE_CODES
from queuecast.cli.main import main
from queuecast.config import Settings, variable
from tests.api.conftest import Gateway


class DocumentedGateway(NamedTuple):
    openapi: str
    spec: Any
    routes: set[tuple[str, str]]
    """Methods and paths."""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> DocumentedGateway:
    app = Gateway(tmp_path_factory.mktemp("gateway")).app()
    openapi = app.test_client().get("/openapi.json").text
    routes = {(method, rule.rule) for rule in app.url_map.iter_rules() for method in rule.methods or ()}
    return DocumentedGateway(openapi, json.loads(openapi), routes)


def rows(path: Path, first: str) -> list[list[str]]:
    """The rows of the tables in a page whose first cell matches, cell by cell, without backticks."""
    lines = [line for line in path.read_text().splitlines() if re.match(rf"\| `{first}", line)]
    return [[cell.strip().strip("`") for cell in line.strip("| ").split(" | ")] for line in lines]


def documents(repository: Path) -> list[Path]:
    folders = ((repository / "docs").glob("*.md"), (repository / "examples").rglob("*.md"), repository.glob("*.md"))
    return [page for pages in folders for page in pages]


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


def test_every_operation_has_its_row_with_its_statuses(repository: Path, gateway: DocumentedGateway) -> None:
    operations = {
        (method.upper(), path): " ".join(sorted(operation["responses"]))
        for path, methods in gateway.spec["paths"].items()
        for method, operation in methods.items()
    }

    documented = {(row[0], row[1]): row[3] for row in rows(repository / "docs/03-api.md", "[A-Z]+`")}

    assert documented == operations


def test_every_failure_code_of_a_job_has_its_row(repository: Path) -> None:
    page = (repository / "docs/02-jobs.md").read_text()
    section = page.partition("| `error.code` |")[2].partition("\n## ")[0]
    cells = [line.split(" | ")[0] for line in section.splitlines() if line.startswith("| `")]
    related = section.partition("`model_refused`:")[2].partition("\n\n")[0]

    documented = set(re.findall(r"`([a-z_]+)`", " ".join([*cells, related])))

    assert documented == set(FAILURE_CODES) - {"canceled", "expired"}  # the states of jobs that did not fail


def test_every_route_is_in_the_openapi_document(gateway: DocumentedGateway) -> None:
    routes = {
        (method, re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", path))
        for method, path in gateway.routes
        if method not in ("HEAD", "OPTIONS")
    }

    described = {(method.upper(), path) for path, methods in gateway.spec["paths"].items() for method in methods}

    assert gateway.spec["openapi"].startswith("3.1")
    assert routes - described == {("GET", "/openapi.json"), ("GET", "/docs")}
    assert described - routes == set()


def operations(gateway: DocumentedGateway) -> dict[str, Any]:
    """The operations by their ids."""
    described = [operation for methods in gateway.spec["paths"].values() for operation in methods.values()]
    by_id = {operation["operationId"]: operation for operation in described}
    assert len(by_id) == len(described) > 25
    return by_id


@pytest.mark.parametrize("kind", ["schemas", "headers", "links"])
def test_every_reference_of_the_openapi_document_resolves(gateway: DocumentedGateway, kind: str) -> None:
    named = set(re.findall(rf'"#/components/{kind}/([^"]+)"', gateway.openapi))

    assert named == set(gateway.spec["components"][kind])


def test_every_operation_has_a_summary_a_description_and_a_described_tag(gateway: DocumentedGateway) -> None:
    tags = {tag["name"] for tag in gateway.spec["tags"] if tag["description"]}

    incomplete = [
        name
        for name, operation in operations(gateway).items()
        if not (operation["summary"] and operation["description"] and set(operation["tags"]) <= tags)
    ]

    assert incomplete == []


def test_every_operation_with_a_json_body_has_an_example_of_it(gateway: DocumentedGateway) -> None:
    bodies = {
        name: each["requestBody"]["content"] for name, each in operations(gateway).items() if "requestBody" in each
    }

    without = [name for name, body in bodies.items() if not body.get("application/json", {"examples": 1})["examples"]]

    assert len(bodies) > 5
    assert without == []


def test_every_response_describes_its_headers(gateway: DocumentedGateway) -> None:
    headers = gateway.spec["components"]["headers"]
    responses = [
        (name, status, response)
        for name, operation in operations(gateway).items()
        for status, response in operation["responses"].items()
    ]

    without = [(name, status) for name, status, response in responses if "X-Request-ID" not in response["headers"]]
    without_retry = [
        (name, status)
        for name, status, response in responses
        if status == "503" and "Retry-After" not in response["headers"]
    ]

    assert (without, without_retry) == ([], [])
    assert [name for name, header in headers.items() if not header["description"]] == []


def test_every_link_leads_to_an_operation_and_fills_in_its_parameters(gateway: DocumentedGateway) -> None:
    by_id = operations(gateway)

    for link in gateway.spec["components"]["links"].values():
        parameters = by_id[link["operationId"]]["parameters"]
        assert set(link["parameters"]) <= {parameter["name"] for parameter in parameters}
        required = {parameter["name"] for parameter in parameters if parameter["required"]}
        assert required - set(link["parameters"]) <= {"alias"}  # the caller chooses the alias


def test_every_command_has_its_row(repository: Path) -> None:
    documented = {
        " ".join(re.findall(r"^queuecast ((?:[a-z][a-z-]* ?)+)", row[0])).strip()
        for row in rows(repository / "docs/05-cli.md", "queuecast ")
    }

    assert documented == commands(main)


def test_every_link_in_the_documents_leads_somewhere(repository: Path) -> None:
    broken = []
    for page in documents(repository):
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            if not target.startswith("http") and not (page.parent / target).exists():
                broken.append(f"{page.name}: {target}")

    assert broken == []


def test_every_file_of_the_tree_that_a_document_names_exists(repository: Path) -> None:
    rooms = "api|worker|queuecast|deploy|bench|tests|examples|requirements"
    missing = [
        f"{page.name}: {path}"
        for page in documents(repository)
        for path in re.findall(rf"`((?:{rooms})/[\w./-]+)[:`]", page.read_text())
        if not (repository / path).exists()
    ]

    assert missing == []


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
