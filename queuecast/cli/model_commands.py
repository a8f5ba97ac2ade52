"""The commands for models: push, train, list, promote, roll back and delete."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from queuecast.cli.job_output import extra_columns_option, finish_job, json_option, no_wait_option, show_document
from queuecast.cli.model_tables import show_aliases, show_history, show_models, show_versions, show_workers
from queuecast.cli.terminal import confirm, note, say
from queuecast.client import Client, NotComparedWarning
from queuecast.domain.errors import short_name
from queuecast.domain.gate import PromotionPolicy
from queuecast.domain.holdout import METHODS, HoldoutRule
from queuecast.domain.trainings.fit_mode import FitMode
from queuecast.domain.work import OnError
from queuecast.plurals import counted

PYTHON_WORDS = {"True": True, "False": False, "None": None}
EXISTING_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)

reason_option = click.option("--reason", default="", help="The reason, for the model's history.")


@click.command()
@click.argument("name")
@click.argument("file", type=EXISTING_FILE)
@click.option(
    "--example",
    required=True,
    type=EXISTING_FILE,
    help="CSV file with the rows that the model was fitted on, if possible all of them; at most 50,000 are sent.",
)
@click.option("--target", multiple=True, metavar="COLUMN", help="The column that the model predicts; can be repeated.")
@click.option("--holdout", is_flag=True, help="The model was fitted without the rows that queuecast.holdout holds out.")
@click.option(
    "--holdout-method",
    type=click.Choice(METHODS),
    help=f"The method of that split, if it is not {HoldoutRule().method}. Implies --holdout.",
)
@click.option(
    "--holdout-fraction",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help=f"The fraction of that split, if it is not {HoldoutRule().fraction}. Implies --holdout.",
)
@click.option(
    "--holdout-column",
    "holdout_columns",
    multiple=True,
    metavar="COLUMN",
    help="A column that decides that split, if not all of them do; can be repeated. Implies --holdout.",
)
@click.option("--description", help="A description to store with the version.")
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
    holdout_method: str | None,
    holdout_fraction: float | None,
    holdout_columns: Sequence[str],
    description: str | None,
    no_wait: bool,
    as_json: bool,
) -> None:
    """Push a skops FILE as a new version of a model."""
    rule = HoldoutRule() if holdout or holdout_method or holdout_fraction or holdout_columns else None
    if rule is not None:
        fraction, method = holdout_fraction or rule.fraction, holdout_method or rule.method
        rule = HoldoutRule(fraction, tuple(holdout_columns), method)
    with _warnings_as_notes():
        job = client.push_file(name, file, example, target, rule, description=description)
    finish_job(job, no_wait=no_wait, as_json=as_json)


@contextmanager
def _warnings_as_notes() -> Iterator[None]:
    with warnings.catch_warnings(record=True) as raised:
        warnings.simplefilter("always", NotComparedWarning)
        yield
    for warning in raised:
        if issubclass(warning.category, NotComparedWarning):
            note(f"note: {' '.join(str(warning.message).split())}")


def _parse_params(ctx: click.Context, param: click.Parameter, pairs: Sequence[str]) -> dict[str, Any]:
    """Parses name=value pairs. A value is JSON, or Python's True, False or None, or else a string."""
    params: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not (name and equals):
            raise click.BadParameter(f"{pair!r}, expected name=value", ctx, param)
        try:
            params[name] = PYTHON_WORDS[text] if text in PYTHON_WORDS else msgspec.json.decode(text)
        except msgspec.DecodeError:
            params[name] = text
    return params


def _parse_object(ctx: click.Context, param: click.Parameter, text: str | None) -> dict[str, Any] | None:
    """A JSON object, or the name of a file that has one."""
    try:
        data = text if text is None or text.lstrip().startswith("{") else Path(text).read_bytes()
        return None if data is None else msgspec.json.decode(data, type=dict[str, Any])
    except (msgspec.DecodeError, OSError) as error:
        raise click.BadParameter(f"{short_name(text or '')} has no JSON object: {error}", ctx, param) from None


def _object_option(name: str, text: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    help_text = f"{text}: a JSON object, or a file that has one."
    return click.option(name, metavar="JSON|FILE", callback=_parse_object, help=help_text)


@click.command()
@click.argument("model")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=EXISTING_FILE)
@click.option(
    "--target",
    multiple=True,
    metavar="COLUMN",
    help="The column to learn; can be repeated, and left out for an estimator that learns without one.",
)
@click.option(
    "--param",
    "params",
    multiple=True,
    metavar="NAME=VALUE",
    callback=_parse_params,
    help="A parameter for the estimator's set_params; can be repeated.",
)
@click.option(
    "--promote",
    default="auto",
    type=click.Choice([policy.value for policy in PromotionPolicy]),
    show_default=True,
    help="When to promote the new version: if it is not worse (auto), by hand (manual), or never.",
)
@click.option(
    "--on-error",
    type=click.Choice([choice.value for choice in OnError]),
    help="Leave rows out that do not fit (skip), or fail the training (default: fail).",
)
@_object_option("--gate", "Settings of the gate for this training and those after it (docs/10-gate.md)")
@click.option("--weight", "weight_column", metavar="COLUMN", help="How much each row counts.")
@click.option("--group", "group_column", metavar="COLUMN", help="Rows with the same value are never split.")
@click.option("--time", "time_column", metavar="COLUMN", help="Hold out the newest rows by this column.")
@click.option("--id", "id_column", metavar="COLUMN", help="The column that names a row; nothing learns from it.")
@click.option(
    "--mode",
    type=click.Choice([choice.value for choice in FitMode]),
    help="Fit a clone of the champion (refit, the default), or let a copy go on learning with partial_fit (update).",
)
@_object_option("--search", "Search parameters (docs/04-models.md)")
@extra_columns_option
@no_wait_option
@json_option
@click.pass_obj
def train(
    client: Client,
    *,
    model: str,
    files: Sequence[Path],
    target: Sequence[str],
    params: dict[str, Any],
    promote: str,
    on_error: str | None,
    gate: dict[str, Any] | None,
    weight_column: str | None,
    group_column: str | None,
    time_column: str | None,
    id_column: str | None,
    mode: str | None,
    search: dict[str, Any] | None,
    extra_columns: str | None,
    no_wait: bool,
    as_json: bool,
) -> None:
    """Retrain the champion of MODEL on files, and compare both versions.

    Each FILE is CSV, NDJSON or Parquet, and all of them are one table. The new version is fitted with the champion's
    estimator, and both are scored on the same held-out rows.
    """
    targets = target[0] if len(target) == 1 else list(target)
    job = client.train(
        model,
        list(files) if len(files) > 1 else files[0],
        targets,
        params,
        promote,
        extra_columns,
        on_error,
        gate=gate,
        mode=mode,
        search=search,
        weight_column=weight_column,
        group_column=group_column,
        time_column=time_column,
        id_column=id_column,
    )
    finish_job(job, no_wait=no_wait, as_json=as_json)


@click.command()
@click.argument("name", required=False)
@json_option
@click.pass_obj
def models(client: Client, *, name: str | None, as_json: bool) -> None:
    """List models, or a model's versions and scores."""
    if name is None:
        bodies = client.models()
        show_document(bodies, lambda: show_models(bodies), as_json=as_json)
    else:
        model, manifests = client.model(name), client.versions(name)

        def show() -> None:
            show_versions(manifests, model["aliases"], datetime.now(UTC))
            show_workers(model)

        show_document(manifests, show, as_json=as_json)


@click.command()
@click.argument("model")
@click.argument("version", type=int)
@click.option("--alias", default="champion", show_default=True, help="The alias to move.")
@reason_option
@json_option
@click.pass_obj
def promote(client: Client, *, model: str, version: int, alias: str, reason: str, as_json: bool) -> None:
    """Make VERSION the champion of MODEL.

    A version that its training found worse or incomparable needs --reason.
    """
    body = client.promote(model, version, alias, reason)
    show_document(body, lambda: show_aliases(body), as_json=as_json)


@click.command()
@click.argument("model")
@reason_option
@json_option
@click.pass_obj
def rollback(client: Client, *, model: str, reason: str, as_json: bool) -> None:
    """Make the previous champion of MODEL the champion again."""
    body = client.rollback(model, reason)
    show_document(body, lambda: show_aliases(body), as_json=as_json)


@click.command()
@click.argument("model")
@click.option("--version", type=click.IntRange(1), help="Only this version (default: the model with all its versions).")
@click.option("--yes", is_flag=True, help="Do not ask.")
@reason_option
@json_option
@click.pass_obj
def delete(client: Client, *, model: str, version: int | None, yes: bool, reason: str, as_json: bool) -> None:
    """Delete a version of MODEL, or MODEL with all its versions, for good.

    The gateway refuses it for a version that an alias names, such as the champion, and while a job that has not ended
    needs the version or the model.
    """
    if version is None:
        versions = client.model(model)["versions"]
        what = f"model {model} with {counted(versions, 'version')}"
    else:
        what = f"version {version} of model {model}"
    if not yes:
        confirm(f"Delete {what} for good?", f"{what} is still there; --yes deletes without a question")
    if version is None:
        client.delete_model(model, reason)
    else:
        client.delete_version(model, version, reason)
    show_document({"model": model, "version": version}, lambda: say(f"Deleted {what}"), as_json=as_json)


@click.command()
@click.argument("model")
@json_option
@click.pass_obj
def history(client: Client, *, model: str, as_json: bool) -> None:
    """Show which version of MODEL became champion when, and why.

    All moves of all aliases, and which versions were deleted, oldest first.
    """
    moves = client.history(model)
    show_document(moves, lambda: show_history(moves, datetime.now(UTC)), as_json=as_json)
