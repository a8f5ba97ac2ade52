"""The `queuecast` command: push, predict, train, jobs, queues, dead letters, models; admin is `queuecast.cli.admin`'s.

Owns arguments, exit codes and what goes to which stream: results to stdout, everything else to stderr, one line an
error. The calls are `queuecast.client`'s and the tables `queuecast.cli.rendering`'s.
"""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec
import stamina.instrumentation
from stamina.instrumentation import RetryDetails

from queuecast import __version__
from queuecast.cli import batch_commands, rendering
from queuecast.cli.inputs import USE_OUTPUT, read_rows
from queuecast.cli.lazy_group import LazyGroup
from queuecast.client import ApiError, Client, GatewayUnreachable, JobFailed, JobHandle, TooManyRows
from queuecast.client.csv import parsed_json_rows
from queuecast.client.transport import error_text
from queuecast.client.uploads import output_format_of
from queuecast.domain.holdout import HoldoutRule
from queuecast.domain.job import JobType, State
from queuecast.domain.work import Method, Promote

PRIORITIES = ("low", "normal", "high")
LISTED_TYPES = [kind.value for kind in JobType if kind is not JobType.CHUNK]
QUICK_S = 2  # most predictions are done by then, and need neither a second request nor a progress line
NOTED_PAUSE_S = 0.5  # a shorter pause is over before it is read about
NO_FILES = batch_commands.Outputs(None, None)
PYTHON_WORDS = {"True": True, "False": False, "None": None}


class OneLineErrors(click.Group):
    """Turns what the client raises into one line on stderr and exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # `| head` has read enough; click ends quietly
            raise
        except KeyboardInterrupt:  # click would call it a failure
            rendering.note("interrupted")
            raise click.exceptions.Exit(batch_commands.INTERRUPTED) from None
        except (ApiError, GatewayUnreachable, JobFailed, ValueError, OSError) as error:
            raise click.ClickException(" ".join(str(error).split())) from error


@click.group(cls=OneLineErrors, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--url", metavar="URL", help="The gateway; default $QUEUECAST_URL or http://127.0.0.1:8000.")
@click.version_option(__version__, prog_name="queuecast")
@click.pass_context
def main(ctx: click.Context, url: str | None) -> None:
    """Queue predictions and retrainings on a scikit-learn model behind a queuecast gateway."""
    stamina.instrumentation.set_on_retry_hooks([_note_retry])  # the default hook may print on stdout
    ctx.obj = ctx.with_resource(Client(url))


def _note_retry(details: RetryDetails) -> None:
    if details.wait_for >= NOTED_PAUSE_S:
        rendering.note(f"{error_text(details.caused_by)}; trying again in {details.wait_for:.1f} s")


json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of a table.")
no_wait_option = click.option("--no-wait", is_flag=True, help="Print the job's id and do not wait for it.")


@main.command()
@click.argument("name")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--example",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="CSV with rows that the model was fitted on, as many as there are; at most 50,000 are sent.",
)
@click.option("--target", multiple=True, metavar="COLUMN", help="The column that the model predicts; may repeat.")
@click.option("--holdout", is_flag=True, help="The model was fitted without the rows that queuecast.holdout holds out.")
@click.option("--description", help="A sentence to keep with the version.")
@no_wait_option
@json_option
@click.pass_obj
def push(
    client: Client,
    *,
    name: str,
    file: Path,
    example: Path,
    target: Sequence[str],
    holdout: bool,
    description: str | None,
    no_wait: bool,
    as_json: bool,
) -> None:
    """Send a skops FILE as a new version of a model."""
    rule = HoldoutRule() if holdout else None
    job = client.push_file(name, file, example, target, rule, description=description)
    _finish(job, no_wait=no_wait, as_json=as_json)


@main.command()
@click.argument("model")
@click.argument("rows", required=False, type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option(
    "--row", "single_rows", multiple=True, metavar="JSON", help="One row, such as '{\"age\": 29}'; may repeat."
)
@click.option("--method", default="predict", type=click.Choice([method.value for method in Method]), show_default=True)
@click.option("--version", metavar="NUMBER|ALIAS", help="Another version than the champion.")
@click.option("--priority", type=click.Choice(PRIORITIES), help="Whether it may wait for others, or goes first.")
@batch_commands.output_options
@click.option("--id", "id_column", metavar="COLUMN", help="With -o: a column of ROWS to copy beside the answers.")
@click.option(
    "--on-error",
    type=click.Choice(["skip", "fail"]),
    help="With -o: leave bad rows out and report them (skip, the default), or fail at the first one.",
)
@no_wait_option
@json_option
@click.pass_obj
def predict(
    client: Client,
    *,
    model: str,
    rows: str | None,
    single_rows: Sequence[str],
    method: str,
    version: str | None,
    priority: str | None,
    output: Path | None,
    errors: Path | None,
    id_column: str | None,
    on_error: str | None,
    no_wait: bool,
    as_json: bool,
) -> None:
    """Predict the rows of a file.

    ROWS is a CSV, JSON or NDJSON file, or - for standard input, and the answers are printed. With -o it is a CSV,
    NDJSON or Parquet file of any size, which all workers share, and the answers go to a file.
    """
    if (rows is None) == (not single_rows):
        raise click.UsageError("give either ROWS (a file, or - for standard input) or --row")
    wanted = int(version) if version is not None and version.isdecimal() else version
    said: dict[str, Any] = {"method": method, "version": wanted, "priority": priority}
    if output is not None and rows is not None:
        outputs = batch_commands.Outputs(output, errors)
        outputs.require_writable(rows)
        said |= {"output_format": output_format_of(output), "on_error": on_error or "skip", "id_column": id_column}
        job = batch_commands.submit(client, model, rows, **said)
        _finish(job, outputs, no_wait=no_wait, as_json=as_json)
        return
    if output or errors or id_column or on_error:
        raise click.UsageError("-o, --errors, --id and --on-error belong together: ROWS -o FILE")
    inputs = read_rows(client, rows, model, wanted) if rows else parsed_json_rows(f"[{','.join(single_rows)}]")
    try:
        job = client.predict(model, inputs, wait_s=0 if no_wait else QUICK_S, **said)
    except TooManyRows as error:
        raise click.ClickException(f"{ApiError.__str__(error)}; {USE_OUTPUT}") from error
    _finish(job, no_wait=no_wait, as_json=as_json)


def _params(ctx: click.Context, param: click.Parameter, given: Sequence[str]) -> dict[str, Any]:
    """name=value pairs; a value is JSON or Python's True, False and None, and otherwise a word."""
    parsed: dict[str, Any] = {}
    for pair in given:
        name, equals, text = pair.partition("=")
        if not (name and equals):
            raise click.BadParameter(f"{pair!r}, expected name=value", ctx, param)
        try:
            parsed[name] = PYTHON_WORDS[text] if text in PYTHON_WORDS else msgspec.json.decode(text)
        except msgspec.DecodeError:
            parsed[name] = text
    return parsed


@main.command()
@click.argument("model")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--target", multiple=True, required=True, metavar="COLUMN", help="The column to learn; may repeat.")
@click.option(
    "--param", "params", multiple=True, metavar="NAME=VALUE", callback=_params, help="For set_params; may repeat."
)
@click.option(
    "--promote",
    default="auto",
    type=click.Choice([policy.value for policy in Promote]),
    show_default=True,
    help="Whether the new version becomes champion: if it is no worse, by hand, or not at all.",
)
@no_wait_option
@json_option
@click.pass_obj
def train(
    client: Client,
    *,
    model: str,
    file: Path,
    target: Sequence[str],
    params: dict[str, Any],
    promote: str,
    no_wait: bool,
    as_json: bool,
) -> None:
    """Retrain a champion on a file and compare.

    FILE is CSV, NDJSON or Parquet. The new version is fitted like the champion of MODEL, and both are scored on the
    same held out rows of FILE.
    """
    job = client.train(model, file, target[0] if len(target) == 1 else list(target), params, promote)
    _finish(job, no_wait=no_wait, as_json=as_json)


@main.group(invoke_without_command=True)
@click.option("--state", type=click.Choice([state.value for state in State]), help="Only jobs in this state.")
@click.option("--type", "kind", type=click.Choice(LISTED_TYPES), help="Only jobs of this type.")
@click.option("--model", help="Only jobs of this model.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1), help="How many, newest first.")
@json_option
@click.pass_context
def jobs(
    ctx: click.Context, *, state: str | None, kind: str | None, model: str | None, limit: int, as_json: bool
) -> None:
    """List, show, wait for and cancel jobs."""
    if ctx.invoked_subcommand is None:
        listed = ctx.obj.jobs(state=state, type=kind, model=model, limit=limit)
        found = [job.body for job in listed]
        _print(found, as_json, lambda: rendering.show_jobs(found, datetime.now(UTC)))


@jobs.command()
@click.argument("job_id", metavar="ID")
@json_option
@click.pass_obj
def show(client: Client, *, job_id: str, as_json: bool) -> None:
    """Show a job's life with its result or error."""
    job = client.job(job_id)
    _print(job.body, as_json, lambda: rendering.show_job(job.body, datetime.now(UTC)))
    if job.state == State.SUCCEEDED and not as_json:
        rendering.say("")
        rendering.show_result(job.body, job.result())


@jobs.command()
@click.argument("job_id", metavar="ID")
@batch_commands.output_options
@json_option
@click.pass_obj
def wait(client: Client, *, job_id: str, output: Path | None, errors: Path | None, as_json: bool) -> None:
    """Wait for a job and print its result.

    What a batch has written is fetched with -o and --errors.
    """
    outputs = batch_commands.Outputs(output, errors)
    outputs.require_writable()
    job = client.job(job_id)
    outputs.require_batch(job)
    _finish(job, outputs, no_wait=False, as_json=as_json)


@jobs.command()
@click.argument("job_id", metavar="ID")
@json_option
@click.pass_obj
def cancel(client: Client, *, job_id: str, as_json: bool) -> None:
    """Cancel a job.

    A queued job is canceled at once, a running one as soon as its worker hears of it.
    """
    job = client.job(job_id).cancel()
    _print(job.body, as_json, lambda: rendering.say(f"{job.id} {job.state}"))


main.add_command(show, "job")


@main.command()
@click.argument("job_id", metavar="ID")
@batch_commands.output_options
@no_wait_option
@json_option
@click.pass_obj
def retry(
    client: Client, *, job_id: str, output: Path | None, errors: Path | None, no_wait: bool, as_json: bool
) -> None:
    """Run a job's work again, in a new job.

    For a job that failed, expired or was canceled; the version is the one that it was accepted for. A batch runs only
    what was missing.
    """
    outputs = batch_commands.Outputs(output, errors)
    outputs.require_writable()
    job = client.job(job_id)
    outputs.require_batch(job)
    _finish(job.retry(), outputs, no_wait=no_wait, as_json=as_json)


@main.command()
@json_option
@click.pass_obj
def queues(client: Client, *, as_json: bool) -> None:
    """Show what waits, and how full everything is."""
    found = client.queues()
    _print(found, as_json, lambda: rendering.show_queues(found))


@main.command("dead-letters")
@click.option("--replay", metavar="ID", help="Run this one again, in a new job, and take it off the list.")
@no_wait_option
@json_option
@click.pass_obj
def dead_letters(client: Client, *, replay: str | None, no_wait: bool, as_json: bool) -> None:
    """List the jobs whose attempts were used up, or replay one."""
    if replay is not None:
        _finish(client.replay(replay), no_wait=no_wait, as_json=as_json)
        return
    found = [job.body for job in client.dead_letters()]
    _print(found, as_json, lambda: rendering.show_dead_letters(found, datetime.now(UTC)))


@main.command()
@click.argument("name", required=False)
@json_option
@click.pass_obj
def models(client: Client, *, name: str | None, as_json: bool) -> None:
    """List models, or a model's versions and scores."""
    if name is None:
        found = client.models()
        _print(found, as_json, lambda: rendering.show_models(found))
    else:
        aliases, found = client.model(name)["aliases"], client.versions(name)
        _print(found, as_json, lambda: rendering.show_versions(found, aliases, datetime.now(UTC)))


@main.command()
@click.argument("model")
@click.argument("version", type=int)
@click.option("--alias", default="champion", show_default=True, help="The name to move.")
@click.option("--reason", default="", help="Why; kept in the model's history.")
@json_option
@click.pass_obj
def promote(client: Client, *, model: str, version: int, alias: str, reason: str, as_json: bool) -> None:
    """Make VERSION the champion of MODEL."""
    found = client.promote(model, version, alias, reason)
    _print(found, as_json, lambda: rendering.show_aliases(found))


@main.command()
@click.argument("model")
@click.option("--reason", default="", help="Why; kept in the model's history.")
@json_option
@click.pass_obj
def rollback(client: Client, *, model: str, reason: str, as_json: bool) -> None:
    """Make the previous champion of MODEL the champion again."""
    found = client.rollback(model, reason)
    _print(found, as_json, lambda: rendering.show_aliases(found))


main.add_command(
    LazyGroup(
        "admin",
        help="Back up, restore and repair what Redis holds.\n\n"
        "For the operator, on a machine that reaches Redis and the file store: these commands talk to them, not to the "
        "gateway, and read QUEUECAST_REDIS_URL, QUEUECAST_REDIS_PASSWORD_FILE and QUEUECAST_DATA_DIR.",
        module="queuecast.cli.admin",
        needs="install it with pip install 'redis>=6', or run python -m queuecast.cli.admin where the workers run",
    )
)


def _finish(job: JobHandle, outputs: batch_commands.Outputs = NO_FILES, *, no_wait: bool, as_json: bool) -> None:
    """Waits for the job and prints its result, or writes it to files.

    Raises JobFailed, with --json after the job was printed.
    """
    if no_wait:
        _print(job.body, as_json, lambda: click.echo(job.id))
        return
    if outputs != NO_FILES:
        batch_commands.finish(job, outputs, as_json=as_json)
        return
    with batch_commands.told_how_to_go_on(job, outputs), rendering.waiting_line(job) as show_progress:
        job.wait(on_change=show_progress)
    if job.state != State.SUCCEEDED and as_json:
        _print_json(job.body)
    batch_commands.require_succeeded(job, outputs)
    result = job.result()
    _print(job.body, as_json, lambda: rendering.show_result(job.body, result))
    batch_commands.require_answers(job)


def _print(found: Any, as_json: bool, show: Callable[[], None]) -> None:  # noqa: FBT001 - the option's own name
    if as_json:
        _print_json(found)
    else:
        show()


def _print_json(document: Any) -> None:
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
