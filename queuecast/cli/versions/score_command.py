"""The command that scores versions on a labelled file."""

from collections.abc import Sequence
from pathlib import Path

import click

from queuecast.cli.job_output import extra_columns_option, finish_job, json_option, no_wait_option
from queuecast.client import Client
from queuecast.domain.work import OnError


def _parse_versions(_ctx: click.Context, _param: click.Parameter, text: str | None) -> list[int | str] | None:
    """Numbers and aliases, separated by commas."""
    if text is None:
        return None
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise click.BadParameter("expected numbers or aliases, such as 3,champion")
    return [int(name) if name.isdecimal() else name for name in names]


@click.command()
@click.argument("model")
@click.argument(
    "files", metavar="FILE...", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option("--target", multiple=True, metavar="COLUMN", help="The column with the true answers; can be repeated.")
@click.option(
    "--versions",
    metavar="LIST",
    callback=_parse_versions,
    help="Numbers or aliases, such as 3,champion (default: the champion, and any challenger).",
)
@click.option("--metric", help="The primary metric, a scorer of scikit-learn (default: that of the first version).")
@click.option("--weight", "weight_column", metavar="COLUMN", help="How much each row counts.")
@click.option(
    "--on-error",
    type=click.Choice([choice.value for choice in OnError]),
    help="Leave rows out that do not fit (skip), or fail the evaluation (default: fail).",
)
@extra_columns_option
@no_wait_option
@json_option
@click.pass_obj
def score(
    client: Client,
    *,
    model: str,
    files: Sequence[Path],
    target: Sequence[str],
    versions: list[int | str] | None,
    metric: str | None,
    weight_column: str | None,
    on_error: str | None,
    extra_columns: str | None,
    no_wait: bool,
    as_json: bool,
) -> None:
    """Score versions of MODEL on files with the true answers.

    Each FILE is CSV, NDJSON or Parquet, and all of them are one table. Nothing is fitted, and no alias moves. The first
    version is compared with each other, row by row. Without --target, the columns are those of the champion's target.
    """
    job = client.score(
        model,
        list(files) if len(files) > 1 else files[0],
        (target[0] if len(target) == 1 else list(target)) or None,
        versions=versions,
        metric=metric,
        weight_column=weight_column,
        extra_columns=extra_columns,
        on_error=on_error,
    )
    finish_job(job, no_wait=no_wait, as_json=as_json)
