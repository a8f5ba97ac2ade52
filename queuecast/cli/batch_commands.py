"""What the commands do with a batch: submit its file, follow it, fetch what it wrote, and say what it came to."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from shlex import quote
from typing import Any

import click

from queuecast.cli import rendering
from queuecast.cli.progress import bulk_progress
from queuecast.client import Client
from queuecast.client.errors import GatewayUnreachable
from queuecast.client.job import JobFailed, JobHandle
from queuecast.client.transport import Body
from queuecast.client.uploads import OUTPUT_FORMATS, output_format_of
from queuecast.domain.job import State

INTERRUPTED = 130  # what a shell says of a program that Ctrl-C ended


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where the files of a batch go. None: not asked for."""

    answers: Path | None
    errors: Path | None

    def require_writable(self, source: str | None = None) -> None:
        """Before hours are spent. Raises ValueError for names that cannot be meant: without a known format, in a
        folder that is not there, the same twice, or that of the `source`.
        """
        if self.answers is not None:
            output_format_of(self.answers)
        for path in (self.answers, self.errors):
            if path is not None and source is not None and path.absolute() == Path(source).absolute():
                raise ValueError(f"{source} is what is read; write to another file")
            if path is not None and not path.absolute().parent.is_dir():
                raise ValueError(f"{path} cannot be written: there is no folder {path.absolute().parent}")
        if self.answers is not None and self.answers == self.errors:
            raise ValueError(f"{self.answers} cannot hold both the answers and the bad rows")

    def require_batch(self, job: JobHandle) -> None:
        """Raises ValueError for a job that writes no files."""
        if (self.answers or self.errors) and job.body["type"] != "batch":
            raise ValueError(f"{job.id} is a {job.body['type']}; -o and --errors fetch the files of a batch")

    def options(self) -> str:
        """As they are typed."""
        given = (("-o", self.answers), ("--errors", self.errors))
        return "".join(f" {name} {quote(str(path))}" for name, path in given if path is not None)


def output_options(command: Callable[..., None]) -> Callable[..., None]:
    """-o and --errors, as `outputs`."""
    to_file = click.Path(dir_okay=False, path_type=Path)
    told = f"Write the answers of a batch to FILE, in the format of its name: {', '.join(OUTPUT_FORMATS)}."
    answers = click.option("-o", "--output", type=to_file, metavar="FILE", help=told)
    bad = "Write its bad rows to FILE, as NDJSON; predict takes it with -o."
    errors = click.option("--errors", type=to_file, metavar="FILE", help=bad)
    return answers(errors(command))


def submit(client: Client, model: str, source: str, **wanted: Any) -> JobHandle:
    """Uploads `source` and submits its batch; says the job's id, so that nobody has to wait for it."""
    sizes = [0]
    with bulk_progress() as shown:

        def on_upload(done: int, total: int) -> None:
            sizes[0] = total
            shown.upload(done, total)

        job = client.predict_file(model, source, on_upload=on_upload, **wanted)
    version = job.body["model"]["version"]
    rendering.note(f"{rendering.size_text(sizes[0])} uploaded; {job.id} predicts with {model} version {version}")
    return job


@contextmanager
def told_how_to_go_on(job: JobHandle, outputs: Outputs) -> Iterator[None]:
    """Whoever is interrupted, or loses the gateway, hears how to wait for the job again."""
    command = f"queuecast jobs wait {job.id}{outputs.options()}"
    try:
        yield
    except KeyboardInterrupt:
        goes_on = "is done" if job.is_final else "goes on"
        rendering.note(f"{job.id} {goes_on}; {command}")
        raise click.exceptions.Exit(INTERRUPTED) from None
    except GatewayUnreachable as error:
        raise GatewayUnreachable(f"{error}; when it answers again: {command}") from None


def require_succeeded(job: JobHandle, outputs: Outputs) -> None:
    """Raises JobFailed. A batch that was stopped half-way is worth a word more: its parts are kept."""
    if job.state in (State.CANCELED, State.EXPIRED) and job.body["type"] == "batch":
        rendering.note(f"queuecast retry {job.id}{outputs.options() or ' -o answers.csv'} runs what is missing")
    if job.state != State.SUCCEEDED:
        raise JobFailed(job.body)


def require_answers(job: JobHandle) -> None:
    """Raises ValueError for a batch of which no row was answered, or a script would go on with an empty table."""
    result = job.body.get("result") or {}
    if job.body["type"] == "batch" and result.get("rows") and result["rows"] == result["errors"]:
        raise ValueError(f"{job.id} has no answers: all its rows were bad ({result['rows']:,})")


def finish(job: JobHandle, outputs: Outputs, *, as_json: bool) -> None:
    """Waits for a batch and writes its files. Raises JobFailed, with `as_json` after the job was printed, and
    ValueError when no row was answered.
    """
    with told_how_to_go_on(job, outputs), bulk_progress() as shown:
        job.wait(on_change=shown.job)
        if job.state == State.SUCCEEDED and outputs.answers is not None:
            _require_same_format(job, outputs.answers)
            job.download(outputs.answers, on_progress=shown.download)
        if outputs.errors is not None:
            job.write_errors(outputs.errors)
    if as_json:
        click.echo(json.dumps(job.body, indent=2, ensure_ascii=False))
    require_succeeded(job, outputs)
    if outputs.answers is not None:
        rendering.note(f"{outputs.answers}: {_answers_text(job.body)}")
    for line in _errors_text(job, outputs):
        rendering.note(line)
    require_answers(job)


def _require_same_format(job: JobHandle, to: Path) -> None:
    about = job.result().get("file") or {}
    found, expected = about.get("format"), output_format_of(to)
    if found is not None and found != expected:
        way_out = f"queuecast jobs wait {job.id} -o {to.with_suffix(f'.{found}')}"
        raise ValueError(f"the answers of {job.id} are {found}, not {expected}: {way_out}")


def _answers_text(body: Body) -> str:
    result = body["result"]
    good = result["rows"] - result["errors"]
    took = datetime.fromisoformat(body["finished_at"]) - rendering.began_at(body)
    speed = f", {result['rows'] / took.total_seconds():,.0f} rows/s" if took.total_seconds() > 0 else ""
    size = rendering.size_text(result["file"]["size_bytes"])
    return f"{good:,} answers, {size}; predicted in {rendering.duration_text(took)}{speed}"


def _errors_text(job: JobHandle, outputs: Outputs) -> list[str]:
    count = (job.body.get("result") or {}).get("errors", 0)
    if not count:
        return []
    rows = "1 row was bad and has" if count == 1 else f"{count:,} rows were bad and have"
    if outputs.errors is not None:
        return [f"{rows} no answer: {outputs.errors}"]
    first = [rendering.bad_row_text(each) for each in islice(job.errors(), 1)]
    return [
        f"{rows} no answer; queuecast jobs wait {job.id} --errors errors.ndjson fetches them",
        *(f"the first: {text}" for text in first),
    ]
