"""The command `queuecast predict`: rows to print, or a file of any size as a batch."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from queuecast.cli.batches import OutputFiles, output_options, submit
from queuecast.cli.inputs import USE_OUTPUT, read_rows
from queuecast.cli.job_output import extra_columns_option, finish_job, json_option, no_wait_option
from queuecast.client import ApiError, Client, TooManyRows
from queuecast.client.row_formats.table_files import output_format_of
from queuecast.client.row_formats.text_rows import parsed_json_rows
from queuecast.domain.work import Method


@click.command()
@click.argument("model")
@click.argument("rows", required=False, type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option(
    "--row", "single_rows", multiple=True, metavar="JSON", help="One row, such as '{\"age\": 29}'; can be repeated."
)
@click.option("--lines", "has_lines", is_flag=True, help="Each line of ROWS is a text, as in a .txt file.")
@click.option("--method", default="predict", type=click.Choice([method.value for method in Method]), show_default=True)
@click.option("--version", metavar="NUMBER|ALIAS", help="Version number or alias (default: champion).")
@click.option("--priority", type=click.Choice(["low", "normal", "high"]), help="Priority in the queue.")
@output_options
@click.option("--id", "id_column", metavar="COLUMN", help="With -o: a column of ROWS to copy to the answers.")
@click.option(
    "--on-error",
    type=click.Choice(["skip", "fail"]),
    help="With -o: leave bad rows out and report them (skip, the default), or fail at the first one.",
)
@extra_columns_option
@no_wait_option
@json_option
@click.pass_obj
def predict(
    client: Client,
    *,
    model: str,
    rows: str | None,
    single_rows: Sequence[str],
    has_lines: bool,
    method: str,
    version: str | None,
    priority: str | None,
    output: Path | None,
    errors: Path | None,
    force: bool,
    id_column: str | None,
    on_error: str | None,
    extra_columns: str | None,
    no_wait: bool,
    as_json: bool,
) -> None:
    """Predict the rows of a file.

    ROWS is a CSV, JSON, NDJSON or text file, or - for standard input, and the answers are printed. With -o, ROWS is a
    CSV, NDJSON or Parquet file of any size that all workers share, and the answers are written to a file.
    """
    if (rows is None) == (not single_rows):
        raise click.UsageError("give either ROWS (a file, or - for standard input) or --row")
    if has_lines and (rows is None or output is not None):
        raise click.UsageError("--lines needs ROWS, and cannot be used with -o")
    wanted_version = int(version) if version and re.fullmatch("[1-9][0-9]*", version) else version
    options: dict[str, Any] = {"method": method, "version": wanted_version, "priority": priority}
    options["extra_columns"] = extra_columns
    if output is not None and rows is not None:
        files = OutputFiles(output, errors, force).ready(rows)
        options |= {"output_format": output_format_of(output), "on_error": on_error or "skip", "id_column": id_column}
        job = submit(client, model, rows, **options)
        finish_job(job, files, no_wait=no_wait, as_json=as_json)
        return
    if output or errors or force or id_column or on_error:
        raise click.UsageError("-o needs ROWS, and --errors, --force, --id and --on-error need -o: ROWS -o FILE")
    inputs = (
        read_rows(client, rows, model, wanted_version, extra_columns, has_lines=has_lines)
        if rows
        else parsed_json_rows(f"[{','.join(single_rows)}]")
    )
    # Most predictions end within 2 s: the first response has their result, and no progress is shown.
    wait_s = 0 if no_wait else 2
    try:
        job = client.predict(model, inputs, wait_s=wait_s, **options)
    except TooManyRows as error:
        raise click.ClickException(f"{ApiError.__str__(error)}; {USE_OUTPUT}") from error
    finish_job(job, no_wait=no_wait, as_json=as_json)
