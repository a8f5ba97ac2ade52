"""`queuecast delete` asks before it deletes a version or a model, and needs --yes where no person can answer."""

import json

import pytest

from tests.queuecast.cli.command_line import MODEL, run, typed_in_a_terminal
from tests.queuecast.scripted_gateway import Answer, ScriptedGateway, problem

VERSION_2 = "DELETE /v1/models/titanic/versions/2"
TITANIC = "DELETE /v1/models/titanic"


@pytest.fixture
def deleting(gateway: ScriptedGateway) -> ScriptedGateway:
    gateway.on("GET /v1/models/titanic", MODEL)
    for call in (VERSION_2, TITANIC):
        gateway.on(call, Answer(b"", 204))
    return gateway


def test_delete_deletes_a_version(deleting: ScriptedGateway) -> None:
    result = run(deleting, "delete", "titanic", "--version", "2", "--yes", "--reason", "holds names")

    assert (result.exit_code, result.stdout) == (0, "Deleted version 2 of model titanic\n")
    assert deleting.only_request(VERSION_2).query == {"reason": "holds names"}


def test_delete_deletes_a_model(deleting: ScriptedGateway) -> None:
    result = run(deleting, "delete", "titanic", "--yes")

    assert (result.exit_code, result.stdout) == (0, "Deleted model titanic with 4 versions\n")
    assert deleting.only_request(TITANIC).headers["if-match"] == "*"


@pytest.mark.parametrize(("words", "version"), [(["--version", "2"], 2), ([], None)])
def test_delete_as_json_says_what_was_deleted(deleting: ScriptedGateway, words: list[str], version: int | None) -> None:
    result = run(deleting, "delete", "titanic", *words, "--yes", "--json")

    assert json.loads(result.stdout) == {"model": "titanic", "version": version}


@pytest.mark.parametrize(
    ("words", "what"),
    [(["--version", "2"], "version 2 of model titanic"), ([], "model titanic with 4 versions")],
)
def test_delete_needs_yes_where_no_person_can_answer(deleting: ScriptedGateway, words: list[str], what: str) -> None:
    refused = run(deleting, "delete", "titanic", *words, stdin="y\n")

    assert (refused.exit_code, refused.stderr) == (
        1,
        f"Error: {what} is still there; --yes deletes without a question\n",
    )
    assert [request.method for request in deleting.requests if request.method == "DELETE"] == []


@pytest.mark.parametrize(("reply", "is_deleted"), [("y", True), ("n", False), ("", False)])
def test_in_a_terminal_delete_asks(deleting: ScriptedGateway, reply: str, is_deleted: bool) -> None:
    typed = typed_in_a_terminal(deleting, f"{reply}\n", "delete", "titanic", "--version", "2")

    assert "Delete version 2 of model titanic for good? [y/N]" in " ".join(typed.split())
    assert len(deleting.requests_to(VERSION_2)) == is_deleted


def test_delete_says_why_the_gateway_refuses(gateway: ScriptedGateway) -> None:
    detail = "version 2 is the champion of model titanic; promote another version first, or delete the model"
    gateway.on(VERSION_2, problem(409, "Conflict", detail=detail, code="in_use"))

    refused = run(gateway, "delete", "titanic", "--version", "2", "--yes")

    assert (refused.exit_code, refused.stderr) == (1, f"Error: 409 Conflict: {detail}\n")


@pytest.mark.parametrize("version", ["0", "champion", "-1"])
def test_delete_takes_a_number(gateway: ScriptedGateway, version: str) -> None:
    assert run(gateway, "delete", "titanic", "--version", version, "--yes").exit_code == 2
