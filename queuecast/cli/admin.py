"""`queuecast admin`: what an operator does on a machine that reaches Redis and the file store.

A composition root of its own: reads the settings and picks adapters. Also `python -m queuecast.cli.admin`, for it needs
nothing that the worker image has not (click comes with Celery): neither rich nor the client's HTTP library.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import redis

from queuecast.adapters.disk.audit import AuditFiles
from queuecast.adapters.disk.backup_format import Record, backup_records, checked_backup, write_backup
from queuecast.adapters.disk.embedded_redis import published_url, redis_folder
from queuecast.adapters.disk.models import ModelFiles
from queuecast.adapters.redis.aliases import RedisAliases
from queuecast.adapters.redis.backup import Dump
from queuecast.adapters.redis.connection import connect
from queuecast.adapters.redis.job_maintenance import RedisJobMaintenance
from queuecast.adapters.redis.restore import redis_time, require_empty, restore
from queuecast.adapters.redis.server_check import UnsuitableServerError
from queuecast.alias_rebuild import agreement, counted, rebuild
from queuecast.config import Settings, read_settings, variable
from queuecast.domain.errors import QueuecastError, UnavailableError
from queuecast.domain.model import Aliases

NOTED_EVERY_S = 2.0


class OneLineErrors(click.Group):
    """Turns what goes wrong into one line on stderr and exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise
        except QueuecastError as error:
            raise click.ClickException(" ".join(error.detail.split())) from error
        except OSError as error:
            place = f"{error.filename}: " if error.filename else ""
            raise click.ClickException(f"{place}{error.strerror or error}") from error
        except ValueError as error:  # a setting or a URL that cannot be meant
            raise click.ClickException(" ".join(str(error).split())) from error


@click.group(cls=OneLineErrors, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Back up, restore and repair what Redis holds.

    These commands talk to Redis and to the file store themselves, not to the gateway. They read the settings of a
    worker: QUEUECAST_REDIS_URL, QUEUECAST_REDIS_PASSWORD_FILE and QUEUECAST_DATA_DIR.
    """


@main.command()
@click.argument("file", type=click.Path(path_type=Path))
def backup(file: Path) -> None:
    """Write what Redis holds to FILE.

    Jobs with their rows and results, aliases and their history, and all else that has to outlive Redis. Not in it:
    model files and uploaded files (copy their folders), and the queue's own lists, which a restore makes anew.

    It is not a snapshot of one moment while jobs go on: each record is whole, but two may be some seconds apart.

    FILE is written beside and renamed when it is complete, so an older backup of that name stays until then. It holds
    rows as they were sent; only its owner may read it.
    """
    client = _redis(read_settings())
    dump = Dump(client)
    trailer = write_backup(file, redis_time(client), _noted(dump, "written"), dump.counts)
    for name in dump.unsupported:
        click.echo(f"left out, because its type cannot be carried: {name}", err=True)
    counts = trailer.counts
    click.echo(
        f"{file}: {counted(counts['jobs'], 'job')}, aliases of {counted(counts['models'], 'model')}, "
        f"{counted(counts['keys'], 'key')} in all, {file.stat().st_size} bytes"
    )


@main.command("restore")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Also into a Redis that is not empty: adds what it lacks.")
def restore_command(file: Path, *, force: bool) -> None:
    """Put the backup in FILE into an empty Redis.

    The checksum is looked at first; nothing of a damaged file is written. Records whose time is over are left out. Then
    every job that has not ended is put back into its lane, also one that was running: stop gateway, workers and reaper
    before, and start them after.

    With --force nothing that is there is overwritten, so a restore that was interrupted can be done again.
    """
    header, _ = checked_backup(file)
    client = _redis(read_settings())
    if not force:
        require_empty(client)
    done = restore(client, _noted(backup_records(file), "read"))
    waiting = RedisJobMaintenance(client).requeue_all(redis_time(client))
    made = datetime.fromtimestamp(header.at, UTC)
    click.echo(
        f"{file} of {made:%Y-%m-%d %H:%M:%S} UTC: {counted(done.added, 'record')} restored, {done.jobs} of them jobs; "
        f"{done.present} were there already, {done.expired} are past their time; to be run: {counted(waiting, 'job')}"
    )


@main.command()
@click.option("--model", metavar="MODEL", help="Only this model; default: every one with an audit trail.")
@click.option("--force", is_flag=True, help="Give up moves that Redis has and the files have not.")
def rebuild_aliases(*, model: str | None, force: bool) -> None:
    """Put aliases, generations and histories back into Redis.

    They come from the audit trail that lies beside each model's versions. Where Redis has a move that the trail has
    not, the model is left as it is, unless --force. A trail that was edited, and an alias that would point at a version
    that is not there, are always refused.
    """
    settings = read_settings()
    trails, models = _trails(settings), ModelFiles(_models_folder(settings))
    aliases = RedisAliases(_redis(settings))

    def rebuilt(name: str) -> str:
        done = rebuild(name, trails, aliases, models, force=force)
        if not done.restored and not done.dropped:
            return f"{name}: nothing to do, {_pointing(done.aliases)}"
        gone = f", {len(done.dropped)} given up" if done.dropped else ""
        return f"{name}: {counted(done.restored, 'move')} restored{gone}, {_pointing(done.aliases)}"

    _each([model] if model else trails.models(), rebuilt)


@main.command()
def verify_audit() -> None:
    """Check every model's audit trail.

    Checks each file's chain of hashes, which shows lines that were edited, taken out or put in, and compares the moves
    with Redis, which shows last lines that were cut off. It cannot show a trail that somebody wrote anew, hashes and
    all, together with Redis.
    """
    settings = read_settings()
    trails = _trails(settings)
    names = trails.models()
    try:
        aliases = RedisAliases(_redis(settings))
    except UnavailableError as error:
        click.echo(f"{error.detail}; so last lines that were cut off would not be seen", err=True)
        _each(names, lambda name: _chain(name, trails))
    else:
        _each(
            names,
            lambda name: f"{_chain(name, trails)}, {agreement(name, trails, aliases)}",
        )


def _each(names: list[str], act: Callable[[str], str]) -> None:
    """A line for every model, also after one that was refused; then exit code 1."""
    if not names:
        click.echo("no model has an audit trail here")
    refused = 0
    for name in names:
        try:
            click.echo(act(name))
        except UnavailableError:
            raise
        except QueuecastError as error:
            refused += 1
            click.echo(f"Error: {name}: {error.detail}", err=True)
    if refused:
        raise click.exceptions.Exit(1)


def _chain(name: str, trails: AuditFiles) -> str:
    return f"{name}: {counted(len(trails.read(name)), 'move')}, the chain holds"


def _pointing(aliases: Aliases) -> str:
    versions = ", ".join(f"{alias} is version {version}" for alias, version in sorted(aliases.versions.items()))
    return f"generation {aliases.generation}: {versions}"


def _noted(records: Iterable[Record], done: str) -> Iterator[Record]:
    """The records, with a line on stderr now and then."""
    noted_at = time.monotonic()
    for count, record in enumerate(records, 1):
        yield record
        if time.monotonic() - noted_at > NOTED_EVERY_S:
            noted_at = time.monotonic()
            click.echo(f"{counted(count, 'record')} {done} ...", err=True)


def _models_folder(settings: Settings) -> Path:
    folder = settings.data_dir / "models"
    if not folder.is_dir():
        raise ValueError(f"no folder {folder.absolute()}; {variable('data_dir')} says where the file store is")
    return folder


def _trails(settings: Settings) -> AuditFiles:
    return AuditFiles(_models_folder(settings))


def _redis(settings: Settings) -> redis.Redis:
    url = _embedded_url(settings) or settings.redis_url_with_password
    client = connect(url)
    try:
        client.ping()
    except UnsuitableServerError as error:
        raise UnavailableError(f"this Redis cannot be used: {error}") from None
    except redis.RedisError as error:
        where = client.connection_pool.connection_kwargs
        raise UnavailableError(
            f"Redis does not answer at {where.get('host', '?')}:{where.get('port', '?')} ({error}); "
            f"{variable('redis_url')} says where it is"
        ) from None
    return client


def _embedded_url(settings: Settings) -> str | None:
    """The Redis of `make run`, unless a setting names another one."""
    if settings.redis_url != Settings().redis_url:
        return None
    return published_url(redis_folder(settings.data_dir))


if __name__ == "__main__":
    main()
