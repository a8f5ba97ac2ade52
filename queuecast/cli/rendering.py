"""What a person sees of jobs, models and results: tables on stdout, progress on stderr. Decides nothing."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from queuecast.client.errors import problem_line
from queuecast.client.job import JobHandle
from queuecast.client.transport import Body
from queuecast.domain.job import FINAL_STATES

STATE_STYLES = {
    "queued": "cyan",
    "running": "blue",
    "canceling": "yellow",
    "canceled": "yellow",
    "expired": "yellow",
    "succeeded": "green",
    "failed": "red",
}
EVENT_STYLES = {"lost": "red", "retried": "cyan", "given_back": "yellow", "canceling": "yellow"}
NEARLY_FULL = 0.8
WIDE_JOBS_WIDTH = 100  # an id takes 40 characters, type, state, model, age, time taken and progress 60
WIDE_TIMELINE_WIDTH = 72  # a worker's name in a container takes 22 characters
PIPED_WIDTH = 240  # nothing is cut where another program reads the table


def stdout_console() -> Console:
    width = None if sys.stdout.isatty() else PIPED_WIDTH
    return Console(width=width, markup=False, highlight=False, emoji=False)


def stderr_console() -> Console:
    return Console(stderr=True, markup=False, highlight=False, emoji=False)


def say(text: str) -> None:
    stdout_console().print(text, soft_wrap=True)


def note(text: str) -> None:
    """Something beside the result, on stderr."""
    stderr_console().print(Text(text, style="dim"), soft_wrap=True)


@contextmanager
def waiting_line(job: JobHandle) -> Iterator[Any]:
    """A line with state, stage and progress while the block runs; yields what to call with the changed job.

    Yields None where nobody looks: then nothing has to be asked for on the way.
    """
    console = stderr_console()
    if not console.is_terminal:
        yield None
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=16),
        TextColumn("{task.fields[count]}", markup=False),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as line:
        task = line.add_task("", total=None, count="")

        def show(changed: JobHandle) -> None:
            now = changed.body.get("progress") or {}
            line.update(
                task,
                description=_waiting_text(changed),
                completed=now.get("done", 0),
                total=now.get("total"),
                count=_count(changed.body),
            )
            line.refresh()  # not first at the next tick: a short job would be over without having been seen

        show(job)
        yield show


def _waiting_text(job: JobHandle) -> str:
    now = job.body.get("progress") or {}
    stage = f", {now['stage']}" if now.get("stage") else ""
    rows = f" ({now['rows']} rows)" if now.get("rows") is not None else ""
    return f"{job.body['type']} {job.state}{stage}{rows}"


def _count(body: Body) -> str:
    now = body.get("progress")
    return f"{now['done']}/{now['total']} {now['unit']}" if now else ""


def show_predictions(result: Body) -> None:
    values = result["probabilities"] if "probabilities" in result else result["predictions"]
    classes = result.get("classes") or []
    table = _table("ROW")
    if classes and _is_flat(classes) and all(_is_flat(row) and len(row) == len(classes) for row in values):
        for label in classes:
            table.add_column(f"{_short(label)}", justify="right")
        cells = [[_short(value) for value in row] for row in values]
    else:
        table.add_column(result["method"].upper())
        cells = [[_short(value)] for value in values]
    for index, row in enumerate(cells):
        table.add_row(str(index), *row)
    console = stdout_console()
    console.print(table)
    version, timings = result["model"], result.get("timings", {})
    rows = "1 row" if len(values) == 1 else f"{len(values)} rows"
    took = f", predicted in {timings['predict_ms']:.1f} ms" if "predict_ms" in timings else ""
    console.print(Text(f"{rows} by {version['name']} version {version['version']}{took}", style="dim"))


def show_import(result: Body) -> None:
    name, version = result["model"], result["version"]
    methods = ", ".join(result.get("methods", []))
    if result["promoted"]:
        say(f"{name} version {version} is here and is the champion; it answers {methods}")
    else:
        say(f"{name} version {version} is here; it answers {methods}")
        say(f"the champion is as it was; to change that: queuecast promote {name} {version}")


def show_training(result: Body) -> None:
    table = _table("", "VERSION")
    table.add_column((result.get("metric") or "score").upper(), justify="right")
    for who in ("champion", "challenger"):
        side = result[who]
        table.add_row(who, str(side["version"]), _short(side["score"]))
    stdout_console().print(table)
    rows = result["rows"]
    name, version, verdict = result["model"], result["version"], result["verdict"].replace("_", " ")
    say(f"fitted on {rows['train']} rows, compared on {rows['holdout']} held out rows: {verdict}")
    if result["promoted"]:
        say(f"{name} version {version} is the champion now")
    else:
        say(f"{name} version {version} was not promoted: {result['reason']}")


def show_jobs(bodies: list[Body], now: datetime) -> None:
    console = stdout_console()
    is_narrow = console.width < WIDE_JOBS_WIDTH
    table = _table(gap=1 if is_narrow else 2)
    # An id that is cut cannot be copied, so the other columns give way, the last two altogether.
    table.add_column("JOB", no_wrap=True, min_width=max((len(body["id"]) for body in bodies), default=0))
    for heading in ("TYPE", "STATE", "MODEL", "AGE", *(() if is_narrow else ("TOOK", "PROGRESS"))):
        table.add_column(heading, no_wrap=heading != "MODEL")
    for body in bodies:
        age = duration_text(now - datetime.fromisoformat(body["created_at"]))
        cells = [body["id"], body["type"], _state(body["state"]), _model(body), age]
        if not is_narrow:
            cells += [_took(body, now), "" if body["state"] in FINAL_STATES else _count(body)]
        table.add_row(*cells)
    console.print(table if bodies else "no jobs")


def show_job(body: Body, now: datetime) -> None:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    facts: dict[str, Any] = {
        "job": body["id"],
        "retry of": body.get("retry_of"),
        "type": body["type"],
        "state": _state(body["state"]),
        "model": _model(body),
        "created": f"{body['created_at']} ({_ago(body['created_at'], now)})",
        "started": body.get("started_at"),
        "finished": body.get("finished_at"),
        "took": _took(body, now),
        "attempt": _attempts(body),
        "next attempt": body.get("not_before"),
        "progress": _count(body),
        "metadata": _short(body["metadata"]) if body.get("metadata") else None,
        "error": problem_line(body["error"]) if body.get("error") else None,
    }
    for name, value in facts.items():
        if value:
            table.add_row(Text(name, style="dim"), value)
    console = stdout_console()
    console.print(table)
    if body.get("timeline"):
        console.print()
        console.print(_timeline(body["timeline"], has_workers=console.width >= WIDE_TIMELINE_WIDTH))


def _attempts(body: Body) -> str | None:
    """Which run it is. Only lost ones are counted against the most: being handed back at a deploy is not."""
    if not body.get("attempt"):
        return None
    lost = f", {body['lost_attempts']} of at most {body['max_attempts']} lost" if body.get("lost_attempts") else ""
    return f"{body['attempt']}{lost}"


def _timeline(moments: list[Body], *, has_workers: bool) -> Table:
    """A row an event, with how long after the first one."""
    began = datetime.fromisoformat(moments[0]["at"])
    has_workers = has_workers and any(moment["worker"] for moment in moments)
    table = _table("AFTER", "EVENT", "ATTEMPT")
    if has_workers:
        table.add_column("WORKER", overflow="fold")
    table.add_column("")  # what there is to say
    table.columns[0].justify = "right"
    for moment in moments:
        passed = datetime.fromisoformat(moment["at"]) - began
        # Much can happen within a second, so the first minute is told to the tenth.
        seconds = passed.total_seconds()
        after = f"{seconds:.1f} s" if 1 <= seconds < 60 else duration_text(passed)
        event = Text(moment["event"].replace("_", " "), style=EVENT_STYLES.get(moment["event"], ""))
        worker = [Text(moment["worker"] or "", style="dim")] if has_workers else []
        table.add_row(after, event, _short(moment["attempt"] or None), *worker, moment["detail"])
    return table


def show_queues(queues: Body) -> None:
    console = stdout_console()
    table = _table()
    table.add_column("LANE", overflow="fold")  # the one column that gives way in a narrow terminal
    for heading in ("WAITING", "HELD", "OLDEST"):
        table.add_column(heading, no_wrap=True, justify="right")
    for lane in queues["data"]:
        oldest = lane["oldest_wait_s"]
        waited = "-" if oldest is None else duration_text(timedelta(seconds=oldest))
        table.add_row(lane["lane"], str(lane["waiting"]), str(lane["reserved"]), waited)
    console.print(table if queues["data"] else "no jobs wait")
    console.print()
    limits = _table("LIMIT", "USED", "OF", "ERROR")
    limits.columns[1].justify = limits.columns[2].justify = "right"
    for name, each in queues["limits"].items():
        of = _amount(each["limit"], each["unit"]) if each["limit"] else "no limit"
        used = "" if each["used"] is None else _amount(each["used"], each["unit"])
        limits.add_row(
            name.replace("_", " "), Text(used, style=_fill_style(each)), of, Text(each["error"], style="dim")
        )
    console.print(limits)
    if queues["dead_letters"]:
        console.print()
        letters = "1 dead letter" if queues["dead_letters"] == 1 else f"{queues['dead_letters']} dead letters"
        say(f"{letters}; queuecast dead-letters lists them")


def _amount(number: int, unit: str) -> str:
    return size_text(number) if unit == "bytes" else f"{number:,} {unit}"


def _fill_style(limit: Body) -> str:
    fill = limit["used"] / limit["limit"] if limit["used"] and limit["limit"] else 0
    return "red" if fill >= 1 else "yellow" if fill >= NEARLY_FULL else ""


def show_dead_letters(bodies: list[Body], now: datetime) -> None:
    table = _table()
    table.add_column("JOB", no_wrap=True, min_width=max((len(body["id"]) for body in bodies), default=0))
    table.add_column("MODEL")
    table.add_column("AGE", no_wrap=True)
    table.add_column("ERROR")
    for body in bodies:
        ended = body.get("finished_at") or body["created_at"]
        age = duration_text(now - datetime.fromisoformat(ended))
        table.add_row(body["id"], _model(body), age, Text((body.get("error") or {}).get("code", "-"), style="red"))
    stdout_console().print(table if bodies else "no dead letters")


def show_batch(result: Body, job_id: str) -> None:
    file, rows = result["file"], result["rows"]
    bad = f", {result['errors']:,} of them bad" if result["errors"] else ""
    say(f"{rows:,} rows{bad}: {size_text(file['size_bytes'])} of {file['format']}")
    errors = " --errors errors.ndjson" if bad else ""
    say(f"queuecast jobs wait {job_id} -o answers.{file['format']}{errors} fetches them")


def bad_row_text(bad: Body) -> str:
    place = f"row {bad['row']}" + (f", column {bad['column']}" if bad.get("column") else "")
    return f"{place}: {bad.get('detail') or bad.get('code')}"


def show_result(body: Body, result: Body) -> None:
    if body["type"] == "batch":
        show_batch(result, body["id"])
    else:
        {"prediction": show_predictions, "training": show_training, "import": show_import}[body["type"]](result)


def show_models(models: list[Body]) -> None:
    table = _table("MODEL", "CHAMPION", "VERSIONS", "LATEST", "OTHER ALIASES")
    for model in models:
        others = {alias: version for alias, version in model["aliases"].items() if alias != "champion"}
        table.add_row(
            model["name"],
            _short(model["champion"]),
            str(model["versions"]),
            _short(model["latest"]),
            ", ".join(f"{alias} {version}" for alias, version in sorted(others.items())),
        )
    stdout_console().print(table if models else "no models; queuecast push brings one")


def show_versions(manifests: list[Body], aliases: dict[str, int], now: datetime) -> None:
    table = _table("VERSION", "ALIASES", "SCORE", "SOURCE", "SIZE", "AGE")
    table.add_column("ESTIMATOR")  # the one column that gives way in a narrow terminal
    for manifest in manifests:
        version = manifest["version"]
        pointing = sorted(alias for alias, to in aliases.items() if to == version)
        is_champion = "champion" in pointing
        table.add_row(
            str(version),
            Text(", ".join(pointing), style="bold green" if is_champion else ""),
            _score(manifest.get("metrics") or {}),
            manifest["source"],
            size_text(manifest["size_bytes"]),
            duration_text(now - datetime.fromisoformat(manifest["created_at"])),
            Text(_estimator(manifest["estimator"]), no_wrap=True, overflow="ellipsis"),
        )
    stdout_console().print(table)


def show_aliases(model: Body) -> None:
    aliases = ", ".join(f"{alias} is version {version}" for alias, version in sorted(model["aliases"].items()))
    say(f"{model['name']}: {aliases or 'no aliases'}")


def _table(*headings: str, gap: int = 2) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, gap, 0, 0))
    for heading in headings:
        table.add_column(heading, no_wrap=True)
    return table


def _is_flat(values: Any) -> bool:
    return isinstance(values, list) and not any(isinstance(value, list) for value in values)


def _short(value: Any) -> str:
    """A value in few characters: floats to six digits, nothing as a dash."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list):
        return ", ".join(_short(each) for each in value)
    return str(value)


def _state(state: str) -> Text:
    return Text(state, style=STATE_STYLES.get(state, ""))


def _model(body: Body) -> str:
    model = body.get("model") or {}
    version = f" {model['version']}" if model.get("version") is not None else ""
    return f"{model.get('name', '-')}{version}"


def _score(metrics: Body) -> str:
    """A version's own score on the holdout rows of its training; an imported version has none."""
    if metrics.get("challenger") is None:
        return "-"
    return f"{metrics.get('metric') or 'score'} {_short(metrics['challenger'])}"


def _estimator(text: str) -> str:
    """The estimator as scikit-learn prints it; one that holds others by the first and the last name only."""
    names = re.findall(r"\b[A-Z]\w*(?=\()", text)
    return text if len(names) < 2 else f"{names[0]} ... {names[-1]}"


def size_text(size_bytes: int) -> str:
    if size_bytes < 1024:
        return f"{size_bytes} B"
    if size_bytes < 1024**2:
        return f"{size_bytes / 1024:.0f} KiB"
    return f"{size_bytes / 1024**2:.1f} MiB" if size_bytes < 1024**3 else f"{size_bytes / 1024**3:.1f} GiB"


def _ago(timestamp: str, now: datetime) -> str:
    return f"{duration_text(now - datetime.fromisoformat(timestamp))} ago"


def _took(body: Body, now: datetime) -> str:
    if not body.get("started_at") or body["state"] == "queued":  # its last run is over, and the next not begun
        return ""
    until = datetime.fromisoformat(body["finished_at"]) if body.get("finished_at") else now
    return duration_text(until - began_at(body))


def began_at(body: Body) -> datetime:
    """When a job that was started began: a batch with its first run, which cut it; `started_at` is that of the join."""
    claims = [each["at"] for each in body.get("timeline") or [] if each["event"] == "claimed"]
    return datetime.fromisoformat(claims[0] if claims and body["type"] == "batch" else body["started_at"])


def duration_text(passed: timedelta) -> str:
    seconds = max(0.0, passed.total_seconds())
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    for unit, length_s in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length_s:
            return f"{seconds / length_s:.0f} {unit}"
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
