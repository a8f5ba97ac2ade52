"""`queuecast admin`: the operator's commands, for a machine that reaches Redis and the file store.

A composition root of its own: it reads the settings and chooses adapters. `python -m queuecast.cli.admin` runs in the
worker image too, which has click (through Celery), but neither rich nor the client's HTTP library.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import click
import redis

from queuecast.adapters.backup_records import Record
from queuecast.adapters.disk.audit import AuditFiles
from queuecast.adapters.disk.backup_format import backup_records, checked_backup, write_backup
from queuecast.adapters.disk.embedded_redis import published_url, redis_folder
from queuecast.adapters.disk.models import ModelFiles
from queuecast.adapters.redis.aliases import RedisAliases
from queuecast.adapters.redis.backup import Dump, redis_time, require_empty, restore
from queuecast.adapters.redis.connection import connect
from queuecast.adapters.redis.job_maintenance import RedisJobMaintenance
from queuecast.adapters.redis.server_check import UnsuitableServerError
from queuecast.alias_rebuild import compare_with_redis, rebuild
from queuecast.cli.errors import OneLineErrors
from queuecast.config import Settings, read_settings, variable
from queuecast.domain.errors import QueuecastError, UnavailableError
from queuecast.domain.model import Aliases
from queuecast.plurals import counted

PROGRESS_EVERY_S = 2.0


@click.group(cls=OneLineErrors, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Back up, restore and repair the data in Redis.

    These commands use Redis and the file store directly, not the gateway. They read the settings of a worker:
    QUEUECAST_REDIS_URL, QUEUECAST_REDIS_PASSWORD_FILE and QUEUECAST_DATA_DIR.
    """


@main.command()
@click.argument("file", type=click.Path(path_type=Path))
def backup(file: Path) -> None:
    """Write the data in Redis to FILE.

    A backup holds jobs with their rows and results, aliases with their history, and everything else that must
    survive the loss of Redis. It does not hold model files or uploaded files; copy their folders. It does not hold the
    lists of the queues either; a restore rebuilds them.

    While jobs run, a backup is not a snapshot of one moment: each record is complete, but two records may be seconds
    apart.

    The backup is written to a temporary file and renamed to FILE when it is complete, so an older backup of that name
    stays until then. It holds rows as clients sent them; only its owner may read it.
    """
    client = _redis(read_settings())
    dump = Dump(client)
    trailer = write_backup(file, redis_time(client), _with_progress(dump, "written"), dump.counts)
    for name in dump.unsupported:
        click.echo(f"skipped {name}: a backup cannot hold a key of its type", err=True)
    counts = trailer.counts
    click.echo(
        f"{file}: {counted(counts['jobs'], 'job')}, aliases of {counted(counts['models'], 'model')}, "
        f"{counted(counts['keys'], 'key')} in total, {file.stat().st_size} bytes"
    )


@main.command("restore")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Restore into a Redis that is not empty: add the records that it lacks.")
def restore_command(file: Path, *, force: bool) -> None:
    """Put the backup in FILE into an empty Redis.

    The checksum is checked first; a damaged file restores nothing. Expired records are skipped. Then every job that
    has not ended returns to its lane, even if it was running: if Redis is not empty, stop the gateway, the workers and
    the reaper before the restore, and start them after it.

    --force never overwrites a record, so an interrupted restore can be repeated.
    """
    header, _ = checked_backup(file)
    settings = read_settings()
    client = _redis(settings)
    if not force:
        require_empty(client)
    done = restore(client, _with_progress(backup_records(file), "read"))
    waiting = RedisJobMaintenance(client).requeue_all(redis_time(client), settings.retention_s)
    made = datetime.fromtimestamp(header.at, UTC)
    click.echo(
        f"{file} of {made:%Y-%m-%d %H:%M:%S} UTC: {counted(done.added, 'record')} restored, {done.jobs} of them jobs; "
        f"{done.present} already present, {done.expired} expired; {counted(waiting, 'job')} to run"
    )


@main.command()
@click.option("--model", metavar="MODEL", help="Only this model (default: every model with an audit trail).")
@click.option("--force", is_flag=True, help="Discard alias moves that are only in Redis.")
def rebuild_aliases(*, model: str | None, force: bool) -> None:
    """Put aliases, generations and histories back into Redis.

    The source is the audit trail in each model's folder. If Redis has a move that is not in the trail, the model is
    left unchanged, unless you give --force. An edited trail, and an alias that would point at a missing version, are
    always refused.
    """
    settings = read_settings()
    trails, models = _trails(settings), ModelFiles(_models_folder(settings))
    aliases = RedisAliases(_redis(settings))

    def rebuilt(name: str) -> str:
        done = rebuild(name, trails, aliases, models, force=force)
        if not done.restored and not done.dropped:
            return f"{name}: nothing to do, {_aliases_text(done.aliases)}"
        gone = f", {len(done.dropped)} discarded" if done.dropped else ""
        return f"{name}: {counted(done.restored, 'move')} restored{gone}, {_aliases_text(done.aliases)}"

    _for_each_model([model] if model else trails.models(), rebuilt)


@main.command()
def verify_audit() -> None:
    """Check every model's audit trail.

    The hash chain of each file reveals lines that were edited, removed or inserted. The comparison with Redis reveals
    lines that were cut off at the end. Neither reveals a trail that was rewritten together with its hashes and Redis.
    """
    settings = read_settings()
    trails = _trails(settings)
    names = trails.models()
    try:
        aliases = RedisAliases(_redis(settings))
    except UnavailableError as error:
        click.echo(f"{error.detail}; without it, lines cut off at the end of a trail go undetected", err=True)
        _for_each_model(names, lambda name: _chain(name, trails))
    else:
        _for_each_model(
            names,
            lambda name: f"{_chain(name, trails)}, {compare_with_redis(name, trails, aliases)}",
        )


def _for_each_model(names: list[str], act: Callable[[str], str]) -> None:
    """Prints a line for every model, also after a refusal. Exits with code 1 if any was refused."""
    if not names:
        click.echo("no model has an audit trail in this file store")
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
    return f"{name}: {counted(len(trails.read(name)), 'move')}, the hash chain is intact"


def _aliases_text(aliases: Aliases) -> str:
    versions = ", ".join(f"{alias} is version {version}" for alias, version in sorted(aliases.versions.items()))
    deleted = f", {counted(len(aliases.deleted), 'deleted version')}" if aliases.deleted else ""
    return f"generation {aliases.generation}: {versions or 'no aliases'}{deleted}"


def _with_progress(records: Iterable[Record], done: str) -> Iterator[Record]:
    """Passes the records on and prints a line on stderr every PROGRESS_EVERY_S."""
    printed_at = time.monotonic()
    for count, record in enumerate(records, 1):
        yield record
        if time.monotonic() - printed_at > PROGRESS_EVERY_S:
            printed_at = time.monotonic()
            click.echo(f"{counted(count, 'record')} {done} ...", err=True)


def _models_folder(settings: Settings) -> Path:
    folder = settings.data_dir / "models"
    if not folder.is_dir():
        raise ValueError(f"no folder {folder.absolute()}; set {variable('data_dir')} to the folder of the file store")
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
            f"set its address with {variable('redis_url')}"
        ) from None
    return client


def _embedded_url(settings: Settings) -> str | None:
    """The Redis of `make run`, unless a setting names another one."""
    if settings.redis_url != Settings().redis_url:
        return None
    return published_url(redis_folder(settings.data_dir))


if __name__ == "__main__":
    main()
