"""The command that sends the outcomes of a job, and shows the live metrics of a model."""

import json
from pathlib import Path
from typing import Any

import click

from queuecast.cli.job_output import json_option, show_document
from queuecast.cli.model_tables import interval_text
from queuecast.cli.terminal import new_table, note, say, short_text, stdout_console
from queuecast.client import Client
from queuecast.client.transport import Body
from queuecast.plurals import counted


@click.command()
@click.argument("model")
@click.option("--job", "job_id", metavar="JOB", help="The prediction that FILE of --from has the outcomes of.")
@click.option(
    "--from",
    "source",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="A JSON list of the true labels or numbers, one for each row of the job.",
)
@json_option
@click.pass_obj
def outcomes(client: Client, *, model: str, job_id: str | None, source: Path | None, as_json: bool) -> None:
    """Show the scores of MODEL on live rows, or add the true outcomes of one of its predictions first."""
    if (job_id is None) != (source is None):
        raise click.UsageError("--job and --from belong together")
    if job_id is not None and source is not None:
        found = _read_list(source)
        added = client.job(job_id).add_outcomes(found)
        versions = ", ".join(map(str, added["versions"]))
        note(f"{counted(added['rows'], 'outcome')} of version {versions} {'added' if added['added'] else 'were known'}")
    body = client.outcomes(model)
    show_document(body, lambda: _show(body), as_json=as_json)


def _read_list(source: Path) -> list[Any]:
    try:
        found = json.loads(source.read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"{source} is no JSON: {error}") from None
    if not isinstance(found, list):
        raise ValueError(f"{source} has a {type(found).__name__}, expected a list of outcomes")  # noqa: TRY004
    return found


def _show(body: Body) -> None:
    if not body["versions"]:
        say(f"no job of {body['model']} has outcomes")
        return
    table = new_table("VERSION", "METRIC")
    for heading in ("ROWS", "SCORE", "95 % INTERVAL"):
        table.add_column(heading, justify="right")
    for version in body["versions"]:
        names = f" ({', '.join(version['aliases'])})" if version["aliases"] else ""
        for at, each in enumerate(version["scores"]):
            shown = f"{version['version']}{names}" if at == 0 else ""
            score = each["score"]
            table.add_row(shown, each["metric"], str(each["rows"]), short_text(score["value"]), interval_text(score))
    stdout_console().print(table)
