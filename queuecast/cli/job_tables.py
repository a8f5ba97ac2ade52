"""Prints jobs, their history and their results, and the queues that they wait in."""

from datetime import datetime, timedelta
from typing import Any

from rich.table import Table
from rich.text import Text

from queuecast.cli.model_tables import show_import, show_training
from queuecast.cli.terminal import duration_text, new_table, say, short_text, size_text, stdout_console
from queuecast.cli.versions.evaluation_tables import show_evaluation
from queuecast.client.errors import problem_line
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


def show_jobs(bodies: list[Body], now: datetime) -> None:
    console = stdout_console()
    is_narrow = console.width < 100  # an id takes 40 characters, the other columns 60
    table = new_table(gap=1 if is_narrow else 2)
    # A shortened id cannot be copied, so the other columns shrink, and the last two are dropped.
    table.add_column("JOB", no_wrap=True, min_width=_id_width(bodies))
    for heading in ("TYPE", "STATE", "MODEL", "AGE", *(() if is_narrow else ("TOOK", "PROGRESS"))):
        table.add_column(heading, no_wrap=heading != "MODEL")
    for body in bodies:
        age = duration_text(now - datetime.fromisoformat(body["created_at"]))
        cells = [body["id"], body["type"], _state_text(body["state"]), _model_text(body), age]
        if not is_narrow:
            cells += [_took_text(body, now), "" if body["state"] in FINAL_STATES else progress_text(body)]
        table.add_row(*cells)
    console.print(table if bodies else "no jobs")


def show_job(body: Body, now: datetime) -> None:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    fields: dict[str, Any] = {
        "job": body["id"],
        "retry of": body.get("retry_of"),
        "type": body["type"],
        "state": _state_text(body["state"]),
        "model": _model_text(body),
        "created": f"{body['created_at']} ({duration_text(now - datetime.fromisoformat(body['created_at']))} ago)",
        "started": body.get("started_at"),
        "finished": body.get("finished_at"),
        "took": _took_text(body, now),
        "attempt": _attempt_text(body),
        "next attempt": body.get("not_before"),
        "progress": progress_text(body),
        "metadata": short_text(body["metadata"]) if body.get("metadata") else None,
        "error": problem_line(body["error"]) if body.get("error") else None,
    }
    for name, value in fields.items():
        if value:
            table.add_row(Text(name, style="dim"), value)
    console = stdout_console()
    console.print(table)
    if body.get("timeline"):
        console.print()
        # A worker's name in a container takes 22 characters.
        console.print(_timeline_table(body["timeline"], has_workers=console.width >= 72))


def show_queues(queues: Body) -> None:
    console = stdout_console()
    table = new_table()
    table.add_column("LANE", overflow="fold")  # the only column that shrinks in a narrow terminal
    for heading in ("WAITING", "HELD", "OLDEST"):
        table.add_column(heading, no_wrap=True, justify="right")
    for lane in queues["data"]:
        wait_s = lane["oldest_wait_s"]
        oldest = "-" if wait_s is None else duration_text(timedelta(seconds=wait_s))
        table.add_row(lane["lane"], str(lane["waiting"]), str(lane["reserved"]), oldest)
    console.print(table if queues["data"] else "no jobs are waiting")
    console.print()
    console.print(_limits_table(queues["limits"]))
    if queues["dead_letters"]:
        console.print()
        letters = "1 dead letter" if queues["dead_letters"] == 1 else f"{queues['dead_letters']} dead letters"
        say(f"{letters}; to list: queuecast dead-letters")


def show_dead_letters(bodies: list[Body], now: datetime) -> None:
    table = new_table()
    table.add_column("JOB", no_wrap=True, min_width=_id_width(bodies))
    table.add_column("MODEL")
    table.add_column("AGE", no_wrap=True)
    table.add_column("ERROR")
    for body in bodies:
        ended_at = body.get("finished_at") or body["created_at"]
        age = duration_text(now - datetime.fromisoformat(ended_at))
        code = (body.get("error") or {}).get("code", "-")
        table.add_row(body["id"], _model_text(body), age, Text(code, style="red"))
    stdout_console().print(table if bodies else "no dead letters")


def show_result(body: Body, result: Body) -> None:
    if body["type"] == "batch":
        _show_batch(result, body["id"])
    else:
        shown = {"prediction": _show_predictions, "training": show_training, "import": show_import}
        (shown | {"evaluation": show_evaluation})[body["type"]](result)


def bad_row_text(bad: Body) -> str:
    faults = bad.get("errors") or [bad]
    shown = faults[:3]
    texts = [_fault_text(fault) for fault in shown]
    left = (bad.get("errors_total") or len(faults)) - len(shown)
    more = f"; and {left} more" if left else ""
    return f"row {bad['row']}{', ' if shown[0].get('column') else ': '}{'; '.join(texts)}{more}"


def _fault_text(fault: Body) -> str:
    text = f"{fault.get('detail') or fault.get('code')}"
    return f"column {fault['column']}: {text}" if fault.get("column") else text


def progress_text(body: Body) -> str:
    progress = body.get("progress")
    return f"{progress['done']}/{progress['total']} {progress['unit']}" if progress else ""


def started_at(body: Body) -> datetime:
    """The start of a job that has started. A batch runs twice, to plan and to join: `started_at` is that of the join,
    so its start is that of its first run.
    """
    claims = [entry["at"] for entry in body.get("timeline") or [] if entry["event"] == "claimed"]
    return datetime.fromisoformat(claims[0] if claims and body["type"] == "batch" else body["started_at"])


def _show_predictions(result: Body) -> None:
    values = result["probabilities"] if "probabilities" in result else result["predictions"]
    classes = result.get("classes") or []
    table = new_table("ROW")
    if classes and _is_flat(classes) and all(_is_flat(row) and len(row) == len(classes) for row in values):
        for label in classes:
            table.add_column(f"{short_text(label)}", justify="right")
        cells = [[short_text(value) for value in row] for row in values]
    else:
        table.add_column(result["method"].upper())
        cells = [[short_text(value)] for value in values]
    for index, row in enumerate(cells):
        table.add_row(str(index), *row)
    console = stdout_console()
    console.print(table)
    version, timings = result["model"], result.get("timings", {})
    rows = "1 row" if len(values) == 1 else f"{len(values)} rows"
    took = f" in {timings['predict_ms']:.1f} ms" if "predict_ms" in timings else ""
    summary = f"{rows} predicted by {version['name']} version {version['version']}{took}"
    console.print(Text(summary, style="dim"))


def _show_batch(result: Body, job_id: str) -> None:
    file, rows = result["file"], result["rows"]
    bad = f", {result['errors']:,} of them bad" if result["errors"] else ""
    say(f"{rows:,} rows{bad}: {size_text(file['size_bytes'])} of {file['format']}")
    errors = " --errors errors.ndjson" if bad else ""
    say(f"to download them: queuecast jobs wait {job_id} -o answers.{file['format']}{errors}")


def _timeline_table(timeline: list[Body], *, has_workers: bool) -> Table:
    """One row per event, with the time since the first one."""
    first_at = datetime.fromisoformat(timeline[0]["at"])
    has_workers = has_workers and any(entry["worker"] for entry in timeline)
    table = new_table("AFTER", "EVENT", "ATTEMPT")
    if has_workers:
        table.add_column("WORKER", overflow="fold")
    table.add_column("")  # the detail
    table.columns[0].justify = "right"
    for entry in timeline:
        elapsed = datetime.fromisoformat(entry["at"]) - first_at
        # Several events can fall into one second, so the first minute is shown with tenths.
        seconds = elapsed.total_seconds()
        after = f"{seconds:.1f} s" if 1 <= seconds < 60 else duration_text(elapsed)
        event = Text(entry["event"].replace("_", " "), style=EVENT_STYLES.get(entry["event"], ""))
        worker = [Text(entry["worker"] or "", style="dim")] if has_workers else []
        table.add_row(after, event, short_text(entry["attempt"] or None), *worker, entry["detail"])
    return table


def _limits_table(limits: dict[str, Body]) -> Table:
    table = new_table("LIMIT", "USED", "OF", "ERROR")
    table.columns[1].justify = table.columns[2].justify = "right"
    for name, limit in limits.items():
        of = _amount_text(limit["limit"], limit["unit"]) if limit["limit"] else "no limit"
        used = "" if limit["used"] is None else _amount_text(limit["used"], limit["unit"])
        fill = limit["used"] / limit["limit"] if limit["used"] and limit["limit"] else 0
        style = "red" if fill >= 1 else "yellow" if fill >= 0.8 else ""
        table.add_row(name.replace("_", " "), Text(used, style=style), of, Text(limit["error"], style="dim"))
    return table


def _amount_text(number: int, unit: str) -> str:
    return size_text(number) if unit == "bytes" else f"{number:,} {unit}"


def _id_width(bodies: list[Body]) -> int:
    return max((len(body["id"]) for body in bodies), default=0)


def _state_text(state: str) -> Text:
    return Text(state, style=STATE_STYLES.get(state, ""))


def _model_text(body: Body) -> str:
    model = body.get("model") or {}
    version = f" {model['version']}" if model.get("version") is not None else ""
    return f"{model.get('name', '-')}{version}"


def _attempt_text(body: Body) -> str | None:
    """The number of the run. Only lost runs count against the maximum: a run handed back at a deploy does not."""
    if not body.get("attempt"):
        return None
    lost = f" ({body['lost_attempts']} of at most {body['max_attempts']} lost)" if body.get("lost_attempts") else ""
    return f"{body['attempt']}{lost}"


def _took_text(body: Body, now: datetime) -> str:
    if not body.get("started_at") or body["state"] == "queued":  # it waits for its next run
        return ""
    end = datetime.fromisoformat(body["finished_at"]) if body.get("finished_at") else now
    return duration_text(end - started_at(body))


def _is_flat(values: Any) -> bool:
    return isinstance(values, list) and not any(isinstance(value, list) for value in values)
