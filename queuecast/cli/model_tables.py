"""Prints models and versions, and the results of the jobs that create versions."""

import re
from datetime import datetime

from rich.text import Text

from queuecast.cli.terminal import duration_text, new_table, note, say, short_text, size_text, stdout_console
from queuecast.client.transport import Body
from queuecast.plurals import counted


def show_models(models: list[Body]) -> None:
    table = new_table("MODEL", "CHAMPION", "VERSIONS", "LATEST", "WORKERS", "OTHER ALIASES")
    for model in models:
        others = {alias: version for alias, version in model["aliases"].items() if alias != "champion"}
        table.add_row(
            model["name"],
            short_text(model["champion"]),
            str(model["versions"]),
            short_text(model["latest"]),
            _workers_text(model),
            ", ".join(f"{alias} {version}" for alias, version in sorted(others.items())),
        )
    stdout_console().print(table if models else "no models; push one with queuecast push")


def show_versions(manifests: list[Body], aliases: dict[str, int], now: datetime) -> None:
    table = new_table("VERSION", "ALIASES", "SCORE", "SOURCE", "SIZE", "AGE")
    table.add_column("ESTIMATOR")  # the only column that shrinks in a narrow terminal
    for manifest in manifests:
        version = manifest["version"]
        names = sorted(alias for alias, to in aliases.items() if to == version)
        is_champion = "champion" in names
        table.add_row(
            str(version),
            Text(", ".join(names), style="bold green" if is_champion else ""),
            _score_text(manifest.get("metrics") or {}),
            manifest["source"],
            size_text(manifest["size_bytes"]),
            duration_text(now - datetime.fromisoformat(manifest["created_at"])),
            Text(_estimator_text(manifest["estimator"]), no_wrap=True, overflow="ellipsis"),
        )
    stdout_console().print(table)
    unproven = [
        str(each["version"]) for each in manifests if each["source"] == "push" and not each.get("compared_rows")
    ]
    if unproven:
        versions = "version" if len(unproven) == 1 else "versions"
        note(f"{versions} {', '.join(unproven)}: not compared with where it was fitted")


def _workers_text(model: Body) -> str:
    """How many of the workers that serve the model have its champion loaded."""
    workers = model.get("workers")  # a gateway of an earlier version does not say
    return f"{workers['on_champion']}/{workers['total']}" if workers and workers["total"] else "-"


def show_workers(model: Body) -> None:
    """How far the workers have followed the last promotion, on a line."""
    workers = model.get("workers")
    if workers is None or model["champion"] is None:
        return
    champion = f"the champion, version {model['champion']}"
    if not workers["total"]:
        note(f"no worker has loaded {champion}, yet")
        return
    of = f"{workers['on_champion']} of {counted(workers['total'], 'worker')}"
    note(f"{of} {'has' if workers['on_champion'] == 1 else 'have'} loaded {champion}{_lag_text(model, workers)}")


def _lag_text(model: Body, workers: Body) -> str:
    if workers["generation"] == model["generation"]:
        return f" (generation {model['generation']})"
    return f" (generation {workers['generation']} of {model['generation']})"


def show_aliases(model: Body) -> None:
    aliases = ", ".join(f"{alias} is version {version}" for alias, version in sorted(model["aliases"].items()))
    say(f"{model['name']}: {aliases or 'no aliases'}")


def show_history(moves: list[Body], now: datetime) -> None:
    table = new_table("AGE", "ALIAS", "VERSION", "BEFORE", "BY")
    table.add_column("REASON")
    for move in moves:
        table.add_row(
            duration_text(now - datetime.fromisoformat(move["at"])),
            short_text(move["alias"]),
            _versions_text(move),
            short_text(move["previous"]),
            move["job_id"] or move["action"],
            Text(move["reason"], no_wrap=True, overflow="ellipsis"),
        )
    stdout_console().print(table if moves else "no alias of the model has moved yet")


def _versions_text(move: Body) -> str:
    """The deletion of a model deletes all versions up to one."""
    version = short_text(move["version"])
    return f"1-{version}" if move["action"] == "delete_model" and version != "1" else version


def show_import(result: Body) -> None:
    name, version = result["model"], result["version"]
    as_champion = " as champion" if result["promoted"] else ""
    say(f"Imported {name} version {version}{as_champion} (methods: {', '.join(result.get('methods', []))})")
    if not result["promoted"]:
        say(f"The champion is unchanged. To promote this version: queuecast promote {name} {version}")


def show_training(result: Body) -> None:
    roles = ("champion", "challenger")
    table = new_table("METRIC", *(f"{role.upper()} {result[role]['version']}" for role in roles))
    table.add_column("DIFFERENCE", justify="right")
    table.add_column("95 % INTERVAL", justify="right")
    for scores in result.get("scores") or [_one_score(result)]:
        difference = scores["difference"]
        table.add_row(
            scores["metric"],
            *(short_text(scores[role] and scores[role]["value"]) for role in roles),
            "-" if difference is None else f"{difference['value']:+.3g}",
            "-" if difference is None else interval_text(difference),
        )
    stdout_console().print(table)
    for criterion in result.get("criteria", ()):
        if criterion["outcome"] in ("worse", "incomparable"):
            say(f"{criterion['outcome']}: {criterion['detail']}")
    rows, verdict = result["rows"], result["verdict"].replace("_", " ")
    say(f"Fitted on {rows['train']} rows, compared on {rows['holdout']} held-out rows: {verdict}")
    show_findings(result)
    name, version = result["model"], result["version"]
    if result["promoted"]:
        say(f"Promoted {name} version {version} to champion")
    else:
        say(f"Did not promote {name} version {version}: {result['reason']}")


def _one_score(result: Body) -> Body:
    """Of a training before there were intervals."""
    scores: Body = {"metric": result["metric"] or "score", "difference": None}
    for role in ("champion", "challenger"):
        value = result[role]["score"]
        scores[role] = None if value is None else {"value": value}
    return scores


def interval_text(score: Body) -> str:
    """A bound is missing where the rows do not give one."""
    return " to ".join("?" if bound is None else f"{bound:+.3g}" for bound in (score["low"], score["high"]))


def show_findings(result: Body) -> None:
    """A result of an earlier release has none."""
    found = result.get("findings", ())
    for finding in found:
        say(f"{finding['severity'].capitalize()}: {finding['detail']}")
    left_out = result.get("findings_total", 0) - len(found)
    if left_out > 0:
        say(f"... and {counted(left_out, 'more finding')}")


OUTCOME_STYLES = {"passed": "green", "worse": "red", "incomparable": "yellow", "skipped": "dim"}


def show_report(report: Body) -> None:
    """The verdict in one sentence, and the criteria that led to it."""
    decision = report["evaluation"]["decision"]
    say(report["headline"])
    say(decision["reason"])
    table = new_table("OUTCOME", "CRITERION")
    for heading in ("VALUE", "THRESHOLD"):
        table.add_column(heading, justify="right")
    for each in decision["criteria"]:
        outcome = Text(each["outcome"], style=OUTCOME_STYLES.get(each["outcome"], ""))
        table.add_row(outcome, each["name"], short_text(each["value"]), short_text(each["threshold"]))
    if decision["criteria"]:
        stdout_console().print(table)


def _score_text(metrics: Body) -> str:
    """A version's own score on the holdout rows of its training. An imported version has none."""
    if metrics.get("challenger") is None:
        return "-"
    return f"{metrics.get('metric') or 'score'} {short_text(metrics['challenger'])}"


def _estimator_text(text: str) -> str:
    """The estimator as scikit-learn prints it. A pipeline is shortened to the first and the last class name."""
    names = re.findall(r"\b[A-Z]\w*(?=\()", text)
    return text if len(names) < 2 else f"{names[0]} ... {names[-1]}"
