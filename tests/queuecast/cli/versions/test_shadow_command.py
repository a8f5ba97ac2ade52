"""`queuecast shadow`."""

import json
from typing import Any

import pytest

from tests.queuecast.cli.command_line import run
from tests.queuecast.scripted_gateway import Answer, ScriptedGateway

PATH = "/v1/models/titanic/shadow"
OFF: dict[str, Any] = {"model": "titanic", "state": "off"}
SHADOW: dict[str, Any] = {
    "model": "titanic",
    "state": "failing",
    "version": 4,
    "sample": 0.1,
    "champion": 3,
    "rows": 8,
    "agreement": 0.75,
    "mean_absolute_difference": 0.25,
    "jobs": {"sent": 5, "compared": 2, "not_compared": 0, "failed": 1, "skipped": 1, "unfinished": 2},
    "champion_row_ms": {"p50": 1.024, "p99": 2.048},
    "shadow_row_ms": None,
    "failure": {"code": "run_failed", "detail": "it raised", "at": "2026-11-27T10:00:00.000Z"},
}


def changes(gateway: ScriptedGateway) -> list[str]:
    return [each.method for each in gateway.requests if each.method != "GET"]


def test_a_shadow_is_shown_in_words(gateway: ScriptedGateway) -> None:
    gateway.on(f"GET {PATH}", SHADOW)

    result = run(gateway, "shadow", "titanic")

    assert result.stdout.splitlines() == [
        "version 4 shadows champion 3 of titanic: failing",
        "sample 0.1; jobs: 5 sent, 2 compared, 0 not compared, 1 failed, 1 skipped, 2 unfinished",
        "8 rows compared, agreement 0.7500",
        "mean absolute difference 0.25",
        "champion: p50 1.024 ms, p99 2.048 ms a row",
    ]
    assert result.stderr == "last failure at 2026-11-27T10:00:00.000Z: it raised\n"
    assert changes(gateway) == []


@pytest.mark.parametrize(("options", "sample"), [(["--sample", "0.1"], 0.1), ([], 1.0)])
def test_a_version_sets_the_shadow(gateway: ScriptedGateway, options: list[str], sample: float) -> None:
    gateway.on(f"PUT {PATH}", SHADOW)
    gateway.on(f"GET {PATH}", SHADOW)

    result = run(gateway, "shadow", "titanic", "--version", "4", *options, "--json")

    assert json.loads(result.stdout) == SHADOW
    (put,) = [each for each in gateway.requests if each.method == "PUT"]
    assert put.json == {"version": 4, "sample": sample}


def test_off_ends_the_shadow(gateway: ScriptedGateway) -> None:
    gateway.on(f"DELETE {PATH}", Answer(b"", 204))
    gateway.on(f"GET {PATH}", OFF)

    result = run(gateway, "shadow", "titanic", "--off")

    assert result.stdout == "model titanic has no shadow\n"
    assert changes(gateway) == ["DELETE"]


@pytest.mark.parametrize(
    "options", [["--off", "--version", "4"], ["--sample", "0.1"], ["--version", "4", "--sample", "0"]]
)
def test_options_that_do_not_go_together_send_nothing(gateway: ScriptedGateway, options: list[str]) -> None:
    result = run(gateway, "shadow", "titanic", *options)

    assert result.exit_code == 2
    assert gateway.requests == []
