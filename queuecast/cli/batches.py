"""Runs a batch from the command line: uploads its file, follows it, and writes its answers and bad rows to files."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from pathlib import Path
from shlex import quote
from typing import Any

import click

from queuecast.cli.errors import INTERRUPTED
from queuecast.cli.job_tables import bad_row_text, started_at
from queuecast.cli.progress import batch_progress
from queuecast.cli.terminal import confirm, duration_text, note, size_text
from queuecast.client import Client, GatewayUnreachable, JobHandle
from queuecast.client.row_formats.table_files import OUTPUT_FORMATS, output_format_of
from queuecast.client.transport import Body
from queuecast.domain.job import State

LEAVING_OUT = frozenset({"training", "evaluation"})
"""The types of jobs that leave bad rows out and have no file of answers."""


@dataclass(frozen=True, slots=True)
class OutputFiles:
    """Where to write the files of a batch. None: not wanted."""

    answers: Path | None
    errors: Path | None
    may_replace: bool = False

    def ready(self, source: str | None = None) -> "OutputFiles":
        """Checks the names before the batch is submitted, and asks before a file is overwritten.

        Raises ValueError for an unknown format, a missing folder, one name for both files, the name of `source`, and an
        existing file without --force.
        """
        self._require_writable(source)
        existing = [path for path in (self.answers, self.errors) if path is not None and path.is_file()]
        if not existing or self.may_replace:
            return self
        names = " and ".join(map(str, existing))
        stated = f"{names} {'exist' if len(existing) > 1 else 'exists'}"
        confirm(f"{stated}. Overwrite?", f"{stated}; --force overwrites")
        return replace(self, may_replace=True)

    def _require_writable(self, source: str | None) -> None:
        if self.answers is not None:
            output_format_of(self.answers)
        for path in (self.answers, self.errors):
            if path is not None and source is not None and path.absolute() == Path(source).absolute():
                raise ValueError(f"{source} is the input; write to another file")
            if path is not None and not path.absolute().parent.is_dir():
                raise ValueError(f"{path} cannot be written: there is no folder {path.absolute().parent}")
        if self.answers is not None and self.answers == self.errors:
            raise ValueError(f"{self.answers} cannot hold both the answers and the bad rows")

    def require_written_by(self, job: JobHandle) -> None:
        """Raises ValueError if files are wanted of a job that does not write them."""
        kind = job.body["type"]
        if self.answers and kind != "batch":
            raise ValueError(f"{job.id} is a {kind}; -o downloads the answers of a batch")
        if self.errors and kind != "batch" and kind not in LEAVING_OUT:
            raise ValueError(f"{job.id} is a {kind}; --errors is for a batch, training or evaluation")

    def options(self) -> str:
        """The options as a user types them."""
        options = (("-o", self.answers), ("--errors", self.errors))
        shown = "".join(f" {name} {quote(str(path))}" for name, path in options if path is not None)
        return f"{shown} --force" if shown and self.may_replace else shown


def output_options(command: Callable[..., None]) -> Callable[..., None]:
    """Adds -o as `output`, --errors as `errors` and --force as `force`."""
    file_type = click.Path(dir_okay=False, path_type=Path)
    help_text = f"Write the answers of a batch to FILE. Its suffix sets the format: {', '.join(OUTPUT_FORMATS)}."
    answers = click.option("-o", "--output", type=file_type, metavar="FILE", help=help_text)
    help_text = "Write the bad rows of a batch, training or evaluation to FILE, as NDJSON. With predict, it needs -o."
    errors = click.option("--errors", type=file_type, metavar="FILE", help=help_text)
    force = click.option("--force", is_flag=True, help="Overwrite the files of -o and --errors without asking.")
    return answers(errors(force(command)))


def submit(client: Client, model: str, source: str, **options: Any) -> JobHandle:
    """Uploads `source` and submits its batch. Prints the job's id, so that the user can wait for it later."""
    size_bytes = 0
    with batch_progress() as progress:

        def on_upload(done: int, total: int) -> None:
            nonlocal size_bytes
            size_bytes = total
            progress.upload(done, total)

        job = client.predict_file(model, source, on_upload=on_upload, **options)
    version = job.body["model"]["version"]
    note(f"{size_text(size_bytes)} uploaded; {job.id} predicts with {model} version {version}")
    return job


@contextmanager
def resume_hint(job: JobHandle, files: OutputFiles) -> Iterator[None]:
    """Prints how to wait for the job again if the user interrupts the block or the gateway is lost."""
    command = f"queuecast jobs wait {job.id}{files.options()}"
    try:
        yield
    except KeyboardInterrupt:
        state = "is done" if job.is_final else "continues"
        note(f"{job.id} {state}; to wait for it again: {command}")
        raise click.exceptions.Exit(INTERRUPTED) from None
    except GatewayUnreachable as error:
        raise GatewayUnreachable(f"{error}; when it answers again: {command}") from None


def write_files(job: JobHandle, files: OutputFiles) -> None:
    """Waits for a batch and writes its files. Writes no answers if it did not succeed."""
    with resume_hint(job, files), batch_progress() as progress:
        job.wait(on_change=progress.job)
        if job.state == State.SUCCEEDED and files.answers is not None:
            _require_same_format(job, files.answers)
            job.download(files.answers, on_progress=progress.download)
        if files.errors is not None:
            job.write_errors(files.errors)


def note_files(job: JobHandle, files: OutputFiles) -> None:
    """Prints a summary of a succeeded job that may have bad rows."""
    if files.answers is not None:
        note(f"{files.answers}: {_answers_text(job.body)}")
    for line in _bad_rows_lines(job, files):
        note(line)


def _require_same_format(job: JobHandle, to: Path) -> None:
    description = job.result().get("file") or {}
    found, expected = description.get("format"), output_format_of(to)
    if found is not None and found != expected:
        command = f"queuecast jobs wait {job.id} -o {to.with_suffix(f'.{found}')}"
        raise ValueError(f"the answers of {job.id} are {found}, not {expected}: {command}")


def _answers_text(body: Body) -> str:
    result = body["result"]
    good = result["rows"] - result["errors"]
    took = datetime.fromisoformat(body["finished_at"]) - started_at(body)
    speed = f", {result['rows'] / took.total_seconds():,.0f} rows/s" if took.total_seconds() > 0 else ""
    size = size_text(result["file"]["size_bytes"])
    return f"{good:,} answers, {size}; predicted in {duration_text(took)}{speed}"


def _bad_rows_lines(job: JobHandle, files: OutputFiles) -> list[str]:
    result = job.body.get("result") or {}
    leaves_out = job.body["type"] in LEAVING_OUT
    count = result.get("rows", {}).get("bad", 0) if leaves_out else result.get("errors", 0)
    if not count:
        return []
    rows = "1 row was bad and " if count == 1 else f"{count:,} rows were bad and "
    if leaves_out:
        rows += "was left out" if count == 1 else "were left out"
    else:
        rows += "has no answer" if count == 1 else "have no answer"
    if files.errors is not None:
        return [f"{rows}: {files.errors}"]
    first = [bad_row_text(bad) for bad in islice(job.errors(), 1)]
    return [
        f"{rows}; to download them: queuecast jobs wait {job.id} --errors errors.ndjson",
        *(f"the first bad row: {text}" for text in first),
    ]
