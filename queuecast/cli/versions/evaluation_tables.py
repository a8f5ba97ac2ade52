"""Prints the result of an evaluation: the scores of each version, and what to know before one believes them."""

from typing import Any

from queuecast.cli.model_tables import interval_text, show_findings
from queuecast.cli.terminal import new_table, say, short_text, stdout_console
from queuecast.client.transport import Body


def show_evaluation(result: Body) -> None:
    table = new_table("VERSION", "METRIC")
    for heading in ("SCORE", "95 % INTERVAL", "DIFFERENCE", "95 % INTERVAL"):
        table.add_column(heading, justify="right")
    for version in result["versions"]:
        for at, scores in enumerate(version["scores"]):
            score, difference = scores["score"], scores["difference"]
            table.add_row(
                _name(version) if at == 0 else "",
                scores["metric"],
                short_text(score and score["value"]),
                _interval(score),
                "-" if difference is None else f"{difference['value']:+.3g}",
                _interval(difference),
            )
    stdout_console().print(table)
    for version in result["versions"]:
        if not version["scored"]:
            say(f"Version {version['version']} is not scored: {version['reason']}")
        elif version["not_compared"]:
            say(f"Version {version['version']} is not compared: {version['not_compared']}")
    show_findings(result)
    say(result["headline"])


def _name(version: Body) -> str:
    alias = version["alias"]
    return f"{version['version']} ({alias})" if alias else str(version["version"])


def _interval(score: Any) -> str:
    return "-" if score is None else interval_text(score)
