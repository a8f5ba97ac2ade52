"""The commands that look after the versions of a model: prune and diff."""

from typing import Any

import click
import msgspec
from rich.text import Text

from queuecast.cli.job_output import json_option, show_document
from queuecast.cli.terminal import confirm, new_table, note, say, short_text, stdout_console
from queuecast.client import Client
from queuecast.client.transport import Body
from queuecast.domain.errors import shortened
from queuecast.plurals import counted


@click.command()
@click.argument("model")
@click.option("--keep", required=True, type=click.IntRange(0), help="How many of the newest versions stay in any case.")
@click.option("--dry-run", is_flag=True, help="Only say which versions would be deleted.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--reason", default="", help="The reason, for the model's history.")
@json_option
@click.pass_obj
def prune(client: Client, *, model: str, keep: int, dry_run: bool, yes: bool, reason: str, as_json: bool) -> None:
    """Delete all but the newest versions of MODEL for good.

    A version stays that an alias names, such as the champion, to which a rollback returns, or that a job needs.
    """
    plan = client.prune(model, keep, dry_run=True)
    if not dry_run and plan["deleted"]:
        if not yes:
            doomed = _versions_text(plan["deleted"])
            refusal = f"nothing was deleted; --yes deletes {doomed} without a question"
            confirm(f"Delete {doomed} of model {model} for good?", refusal)
        plan = client.prune(model, keep, reason)
    show_document(plan, lambda: _show_pruning(plan), as_json=as_json)


def _show_pruning(pruning: Body) -> None:
    for kept in pruning["kept"]:
        note(f"version {kept['version']} stays: {kept['why']}")
    verb = "Would delete" if pruning["dry_run"] else "Deleted"
    say(f"{verb} {_versions_text(pruning['deleted'])} of model {pruning['model']}")


def _versions_text(versions: list[int]) -> str:
    if not versions:
        return "no version"
    return f"{counted(len(versions), 'version')} ({', '.join(map(str, versions))})"


@click.command()
@click.argument("model")
@click.argument("left")
@click.argument("right")
@json_option
@click.pass_obj
def diff(client: Client, *, model: str, left: str, right: str, as_json: bool) -> None:
    """Compare the versions LEFT and RIGHT of MODEL: numbers, or aliases such as champion.

    The differences of their signatures, parameters, environments, scores and origins.
    """
    body = client.diff(model, left, right)
    show_document(body, lambda: _show_differences(body), as_json=as_json)


def _show_differences(body: Body) -> None:
    if not body["differences"]:
        say(f"versions {body['left']} and {body['right']} of model {body['model']} do not differ")
        return
    table = new_table("FIELD")
    for side in ("left", "right"):
        table.add_column(f"VERSION {body[side]}", overflow="fold")
    for each in body["differences"]:
        table.add_row(each["field"], *(Text(_value_text(each, side)) for side in ("left", "right")))
    stdout_console().print(table)


def _value_text(difference: Body, side: str) -> str:
    """Empty for a value that the version lacks."""
    value: Any = difference.get(side, "")
    return shortened(msgspec.json.encode(value).decode() if isinstance(value, dict | list) else short_text(value), 300)
