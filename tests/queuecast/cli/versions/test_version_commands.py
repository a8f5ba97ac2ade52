"""`queuecast prune` and `queuecast diff`."""

import json
from typing import Any

import pytest

from tests.queuecast.cli.command_line import MODEL, lines, manifest, run, typed_in_a_terminal
from tests.queuecast.scripted_gateway import Answer, ScriptedGateway, problem

TITANIC = "/v1/models/titanic"


def entry(generation: int, version: int, previous: int | None, action: str = "put") -> dict[str, Any]:
    return {"generation": generation, "alias": "champion", "version": version, "previous": previous, "action": action}


@pytest.fixture
def pruned(gateway: ScriptedGateway) -> ScriptedGateway:
    """Five versions; champion is 3, which was promoted after 2; challenger is 4."""
    gateway.on(f"GET {TITANIC}", MODEL | {"aliases": {"champion": 3, "challenger": 4}})
    versions = [manifest(number) for number in (5, 4, 3, 2, 1)]
    gateway.on(f"GET {TITANIC}/versions", {"data": versions, "next_cursor": None})
    moves = [entry(1, 1, None, "import"), entry(2, 2, 1), entry(3, 3, 2)]
    gateway.on(f"GET {TITANIC}/history", {"data": moves, "next_cursor": None})
    for number in range(1, 6):
        gateway.on(f"DELETE {TITANIC}/versions/{number}", Answer(b"", 204))
    return gateway


def deleted(gateway: ScriptedGateway) -> list[int]:
    return [int(each.path.rpartition("/")[2]) for each in gateway.requests if each.method == "DELETE"]


def test_prune_deletes_all_but_the_newest_and_the_needed_versions(pruned: ScriptedGateway) -> None:
    result = run(pruned, "prune", "titanic", "--keep", "1", "--yes", "--reason", "old")

    assert deleted(pruned) == [1]
    assert pruned.requests[-1].query == {"reason": "old"}
    assert result.stdout == "Deleted 1 version (1) of model titanic\n"
    assert result.stderr.splitlines() == [
        "version 2 stays: a rollback returns to it",
        "version 3 stays: it is champion",
        "version 4 stays: it is challenger",
    ]


@pytest.mark.parametrize("keep", [4, 5, 9])
def test_the_newest_versions_stay(pruned: ScriptedGateway, keep: int) -> None:
    run(pruned, "prune", "titanic", "--keep", str(keep), "--yes")

    assert deleted(pruned) == ([1] if keep == 4 else [])


def test_a_dry_run_deletes_nothing(pruned: ScriptedGateway) -> None:
    result = run(pruned, "prune", "titanic", "--keep", "0", "--dry-run", "--json")

    body = json.loads(result.stdout)
    assert (body["deleted"], [each["version"] for each in body["kept"]], body["dry_run"]) == ([1, 5], [2, 3, 4], True)
    assert deleted(pruned) == []


def test_prune_without_a_terminal_needs_yes(pruned: ScriptedGateway) -> None:
    result = run(pruned, "prune", "titanic", "--keep", "1")

    assert result.exit_code == 1
    assert "nothing was deleted; --yes deletes 1 version (1) without a question" in result.stderr
    assert deleted(pruned) == []


@pytest.mark.parametrize(("answer", "expected"), [("y\n", [1]), ("n\n", [])])
def test_prune_asks_in_a_terminal(pruned: ScriptedGateway, answer: str, expected: list[int]) -> None:
    seen = typed_in_a_terminal(pruned, answer, "prune", "titanic", "--keep", "1")

    assert "Delete 1 version (1) of model titanic for good?" in seen
    assert deleted(pruned) == expected


def test_a_version_that_a_job_needs_stays(pruned: ScriptedGateway) -> None:
    refusal = problem(409, "Conflict", code="in_use", detail="1 job that has not ended needs version 1")
    pruned.on(f"DELETE {TITANIC}/versions/1", refusal)

    result = run(pruned, "prune", "titanic", "--keep", "0", "--yes")

    assert result.stdout == "Deleted 1 version (5) of model titanic\n"
    assert "version 1 stays: 1 job that has not ended needs version 1" in result.stderr


def test_another_refusal_ends_the_pruning(pruned: ScriptedGateway) -> None:
    pruned.on(f"DELETE {TITANIC}/versions/1", problem(403, "Forbidden", code="foreign_page", detail="no"))

    assert run(pruned, "prune", "titanic", "--keep", "0", "--yes").exit_code == 1
    assert deleted(pruned) == [1]


# diff


@pytest.fixture
def compared(gateway: ScriptedGateway) -> ScriptedGateway:
    age = {"name": "age", "type": "number", "nullable": False}
    gateway.on(f"GET {TITANIC}", MODEL)
    gateway.on(f"GET {TITANIC}/versions/3", manifest(3, signature={"columns": [age]}, lineage=None))
    lineage = {"parent_version": 3, "params": {"C": 0.5}}
    fare = {"name": "fare", "type": "number", "nullable": True}
    changed = {"columns": [age | {"nullable": True}, fare]}
    metrics = {"verdict": "worse", "challenger": 0.25}
    gateway.on(
        f"GET {TITANIC}/versions/4", manifest(4, signature=changed, lineage=lineage, metrics=metrics, source="training")
    )
    return gateway


def test_diff_shows_the_fields_that_differ(compared: ScriptedGateway) -> None:
    result = run(compared, "diff", "titanic", "3", "4")

    table = lines(result.stdout)
    assert table[0] == ["FIELD", "VERSION", "3", "VERSION", "4"]
    assert ["source", "push", "training"] in table
    assert ["signature.columns.age.nullable", "False", "True"] in table
    assert ["signature.columns.fare.type", "number"] in table
    assert ["signature.order", '["age"]', '["age","fare"]'] in table
    assert ["lineage.params.C", "0.5"] in table
    assert ["metrics.verdict", "worse"] in table
    assert not [row for row in table if row[0] in ("version", "estimator", "signature.columns.age.type")]


def test_diff_takes_aliases(compared: ScriptedGateway) -> None:
    body = json.loads(run(compared, "diff", "titanic", "champion", "challenger", "--json").stdout)

    assert (body["model"], body["left"], body["right"]) == ("titanic", 3, 4)
    assert {"field": "source", "left": "push", "right": "training"} in body["differences"]
    assert {"field": "metrics.verdict", "right": "worse"} in body["differences"]


def test_a_version_does_not_differ_from_itself(compared: ScriptedGateway) -> None:
    assert run(compared, "diff", "titanic", "3", "3").stdout == "versions 3 and 3 of model titanic do not differ\n"


def test_an_unknown_version_is_an_error(compared: ScriptedGateway) -> None:
    compared.on(f"GET {TITANIC}/versions/9", problem(404, "Not Found", detail="model titanic has no version 9"))

    result = run(compared, "diff", "titanic", "3", "9")

    assert (result.exit_code, "has no version 9" in result.stderr) == (1, True)
