"""The commands for jobs: list, show, wait, cancel, retry, report, queues and dead letters."""

import webbrowser
from datetime import UTC, datetime
from pathlib import Path
from tempfile import mkdtemp

import click

from queuecast.cli.batches import OutputFiles, output_options
from queuecast.cli.job_output import finish_job, json_option, no_wait_option, show_document
from queuecast.cli.job_tables import show_dead_letters, show_job, show_jobs, show_queues, show_result
from queuecast.cli.model_tables import show_report
from queuecast.cli.terminal import confirm, note, say, size_text
from queuecast.cli.versions.evaluation_tables import show_evaluation
from queuecast.client import Client
from queuecast.domain.job import JobType, State

LISTED_TYPES = [kind.value for kind in JobType if kind is not JobType.CHUNK]


@click.group(invoke_without_command=True)
@click.option("--state", type=click.Choice([state.value for state in State]), help="Only jobs in this state.")
@click.option("--type", "kind", type=click.Choice(LISTED_TYPES), help="Only jobs of this type.")
@click.option("--model", help="Only jobs of this model.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1), help="Maximum number, newest first.")
@json_option
@click.pass_context
def jobs(
    ctx: click.Context, *, state: str | None, kind: str | None, model: str | None, limit: int, as_json: bool
) -> None:
    """List, show, wait for and cancel jobs."""
    if ctx.invoked_subcommand is None:
        bodies = [job.body for job in ctx.obj.jobs(state=state, type=kind, model=model, limit=limit)]
        show_document(bodies, lambda: show_jobs(bodies, datetime.now(UTC)), as_json=as_json)


@jobs.command()
@click.argument("job_id", metavar="ID")
@json_option
@click.pass_obj
def show(client: Client, *, job_id: str, as_json: bool) -> None:
    """Show a job with its history and its result or error."""
    job = client.job(job_id)
    show_document(job.body, lambda: show_job(job.body, datetime.now(UTC)), as_json=as_json)
    if job.state == State.SUCCEEDED and not as_json:
        say("")
        show_result(job.body, job.result())


@jobs.command()
@click.argument("job_id", metavar="ID")
@output_options
@json_option
@click.pass_obj
def wait(client: Client, *, job_id: str, output: Path | None, errors: Path | None, force: bool, as_json: bool) -> None:
    """Wait for a job and print its result.

    -o downloads the answers of a batch, --errors the bad rows of a batch or a training.
    """
    files = OutputFiles(output, errors, force).ready()
    job = client.job(job_id)
    files.require_written_by(job)
    finish_job(job, files, no_wait=False, as_json=as_json)


@jobs.command()
@click.argument("job_id", metavar="ID")
@json_option
@click.pass_obj
def cancel(client: Client, *, job_id: str, as_json: bool) -> None:
    """Cancel a job.

    A queued job is canceled at once, a running job as soon as its worker stops it.
    """
    job = client.job(job_id).cancel()
    show_document(job.body, lambda: say(f"{job.id} {job.state}"), as_json=as_json)


@click.command()
@click.argument("job_id", metavar="ID")
@output_options
@no_wait_option
@json_option
@click.pass_obj
def retry(
    client: Client,
    *,
    job_id: str,
    output: Path | None,
    errors: Path | None,
    force: bool,
    no_wait: bool,
    as_json: bool,
) -> None:
    """Run a job's work again, as a new job.

    The job must have failed, expired or been canceled. The new job runs on the same model version. For a batch, it
    runs only the missing part.
    """
    files = OutputFiles(output, errors, force).ready()
    job = client.job(job_id)
    files.require_written_by(job)
    finish_job(job.retry(), files, no_wait=no_wait, as_json=as_json)


@click.command()
@click.argument("job_id", metavar="JOB")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the page to FILE, or the JSON document if its name ends in .json.",
)
@click.option("--open", "is_opened", is_flag=True, help="Open the page in the browser.")
@click.option("--force", is_flag=True, help="Overwrite the file of -o without asking.")
@json_option
@click.pass_obj
def report(client: Client, *, job_id: str, output: Path | None, is_opened: bool, force: bool, as_json: bool) -> None:
    """Show how a training or an evaluation compared versions.

    Prints the verdict and its criteria, or the scores of the versions. The page has curves and confusion matrices too,
    and of a training slices and the importance of columns.
    """
    if is_opened and output is not None and output.suffix.lower() == ".json":
        raise ValueError(f"{output} would be the JSON document; --open needs the page")
    if output is not None and output.exists() and not force:
        confirm(f"{output} exists. Overwrite?", f"{output} exists; --force overwrites")
    job = client.job(job_id)
    document = job.report()
    show = show_evaluation if document.get("kind") == "evaluation" else show_report
    show_document(document, lambda: show(document), as_json=as_json)
    if output is not None:
        note(f"{job.save_report(output)}: {size_text(output.stat().st_size)}")
    if is_opened:
        page = output or job.save_report(Path(mkdtemp(prefix="queuecast-")) / f"{job.id}.html")
        if not webbrowser.open(page.absolute().as_uri()):
            note(f"no browser can be opened here; the page is {page.absolute()}")


@click.command()
@json_option
@click.pass_obj
def queues(client: Client, *, as_json: bool) -> None:
    """Show waiting jobs and the use of all limits."""
    document = client.queues()
    show_document(document, lambda: show_queues(document), as_json=as_json)


@click.command("dead-letters")
@click.option("--replay", metavar="ID", help="Run this job's work again, as a new job, and remove it from the list.")
@no_wait_option
@json_option
@click.pass_obj
def dead_letters(client: Client, *, replay: str | None, no_wait: bool, as_json: bool) -> None:
    """List the jobs whose attempts were used up, or replay one."""
    if replay is not None:
        finish_job(client.replay(replay), no_wait=no_wait, as_json=as_json)
        return
    bodies = [job.body for job in client.dead_letters()]
    show_document(bodies, lambda: show_dead_letters(bodies, datetime.now(UTC)), as_json=as_json)
