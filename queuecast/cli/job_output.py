"""The end of a command: waits for its job, and prints the result or writes it to files."""

import json
from collections.abc import Callable
from typing import Any

import click

from queuecast.cli.batches import LEAVING_OUT, OutputFiles, note_files, resume_hint, write_files
from queuecast.cli.job_tables import show_result
from queuecast.cli.progress import job_progress
from queuecast.cli.terminal import note
from queuecast.client import JobFailed, JobHandle
from queuecast.client.ignored_columns import ignored_columns_text
from queuecast.domain.job import State

NO_FILES = OutputFiles(None, None)

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of a table.")
extra_columns_option = click.option(
    "--extra-columns",
    type=click.Choice(["ignore", "refuse"]),
    help="Ignore columns that the model does not have, with a note (ignore, the default), or refuse them.",
)
no_wait_option = click.option("--no-wait", is_flag=True, help="Print the job's id and do not wait for the result.")


def show_document(document: Any, show: Callable[[], None], *, as_json: bool) -> None:
    """Prints the document as JSON, or calls `show` to print it for people."""
    if as_json:
        _print_json(document)
    else:
        show()


def finish_job(job: JobHandle, files: OutputFiles = NO_FILES, *, no_wait: bool, as_json: bool) -> None:
    """Waits for the job, and prints its result or writes its files.

    Raises JobFailed, with --json after printing the job, and ValueError for a batch without a single answer.
    """
    if no_wait:
        _note_ignored_columns(job)
        show_document(job.body, lambda: click.echo(job.id), as_json=as_json)
        return
    if files == NO_FILES:
        with resume_hint(job, files), job_progress(job) as on_change:
            job.wait(on_change=on_change)
    else:
        write_files(job, files)
    _note_ignored_columns(job)
    if job.state != State.SUCCEEDED:
        if as_json:
            _print_json(job.body)
        _note_retry_of_batch(job, files)
        raise JobFailed(job.body)
    result = job.result()
    if files == NO_FILES or job.body["type"] in LEAVING_OUT:
        show_document(job.body, lambda: show_result(job.body, result), as_json=as_json)
    elif as_json:
        _print_json(job.body)
    if files != NO_FILES or job.body["type"] in LEAVING_OUT:
        note_files(job, files)
    _require_an_answer(job)


def _note_ignored_columns(job: JobHandle) -> None:
    text = ignored_columns_text(job.body)
    if text is not None:
        note(f"note: {text}")


def _note_retry_of_batch(job: JobHandle, files: OutputFiles) -> None:
    """A batch that was stopped keeps its finished parts, so a retry is cheap."""
    if job.state in (State.CANCELED, State.EXPIRED) and job.body["type"] == "batch":
        options = files.options() or " -o answers.csv"
        note(f"to run the missing part: queuecast retry {job.id}{options}")


def _require_an_answer(job: JobHandle) -> None:
    """Raises ValueError for a batch without a single answer: a script would go on with an empty table."""
    result = job.body.get("result") or {}
    if job.body["type"] == "batch" and result.get("rows") and result["rows"] == result["errors"]:
        raise ValueError(f"{job.id} has no answers: all {result['rows']:,} rows were bad")


def _print_json(document: Any) -> None:
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))
