"""Every setting with its unit, its default and the reason for the default.

The gateway, the workers, the reaper and the operator's commands read the environment only here. `docs/configuration.md`
has a row for each setting (a test compares them).
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

_HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+")
DURABILITIES = ("everysec", "fsync")


class SettingError(ValueError):
    """An invalid setting. The message has its name, its value and the expected values."""


def setting(default: Any, reason: str, *, minimum: int | None = None) -> Any:
    return field(default=default, metadata={"reason": reason, "minimum": minimum})


@dataclass(frozen=True, slots=True)
class Settings:
    redis_url: str = setting("redis://127.0.0.1:6379/0", "jobs, aliases and the queue live in one Redis")
    redis_password_file: str = setting("", "a password in a file stays out of `docker inspect`")
    redis_server: str = setting("", "`make run` starts the bundled Valkey, which the tests run on")
    data_dir: Path = setting(Path("data"), "models, uploaded files and the embedded Redis's append-only file")
    api_host: str = setting("127.0.0.1", "the gateway has no accounts: every client that reaches the port may use it")
    api_hosts: str = setting("", "a request for another name may come from a web page that misuses DNS")
    api_port: int = setting(8000, "where the gateway listens", minimum=1)
    api_threads: int = setting(576, "one thread per request; 432 of them for waits and event streams", minimum=2)
    flower_port: int = setting(5555, "Flower's own default", minimum=1)
    max_body_bytes: int = setting(8 * 2**20, "10,000 rows of 800 bytes of JSON", minimum=1024)
    max_upload_bytes: int = setting(4 * 2**30, "a file of many million rows; it is read in parts", minimum=1024)
    max_rows: int = setting(10_000, "rows in one prediction, which keeps a worker from other jobs", minimum=1)
    max_files_bytes: int = setting(10 * 2**30, "all uploaded files together; the disk is shared", minimum=1024)
    max_lane_jobs: int = setting(10_000, "jobs waiting for one model version and method", minimum=1)
    max_result_bytes: int = setting(32 * 2**20, "results are stored in Redis; 10,000 rows of 100 classes", minimum=1024)
    retention_s: int = setting(24 * 3600, "how long an ended job and its result can be read", minimum=1)
    file_retention_s: int = setting(7 * 24 * 3600, "an uploaded file unused for this long is removed", minimum=60)
    durability: str = setting("everysec", "`fsync`: a 202 means that the job is on Redis's disk")
    lease_s: int = setting(30, "how long a worker may be silent; compiled code can delay its heartbeat", minimum=2)
    max_attempts: int = setting(3, "runs that may die with their worker before the job is a dead letter", minimum=1)
    shutdown_grace_s: int = setting(
        20, "how long a stopping worker may keep running jobs before it hands them back", minimum=1
    )
    worker_concurrency: int = setting(1, "processes per worker; scale by adding workers", minimum=1)
    model_threads: int = setting(
        0, "0: 1 for predictions, the CPU quota for fits; pools on shared cores stall", minimum=0
    )
    model_cache_mb: int = setting(512, "loaded models per process; half of a worker container's memory", minimum=1)
    prediction_timeout_s: int = setting(300, "a prediction that runs longer is stopped and fails", minimum=1)
    training_timeout_s: int = setting(7200, "a training, evaluation or import that runs longer fails", minimum=1)
    batch_timeout_s: int = setting(24 * 3600, "a batch that takes longer fails; waiting counts", minimum=1)
    batch_chunk_rows: int = setting(65_536, "maximum rows of one chunk, which a worker holds in memory", minimum=1)
    health_file: str = setting("", "a worker touches it while it consumes; the container's health check reads its age")
    log_level: str = setting("INFO", "DEBUG, INFO, WARNING or ERROR")
    redis_maxmemory_mb: int = setting(512, "saves a laptop's memory; a full embedded Redis refuses jobs", minimum=16)

    @property
    def own_hosts(self) -> frozenset[str]:
        """The names under which the gateway is reached, besides those of the loopback interface.

        Raises SettingError for a listed name that has more than the name.
        """
        listed = [name.strip() for name in self.api_hosts.split(",") if name.strip()]
        for name in listed:
            if not _HOST.fullmatch(name):
                raise SettingError(
                    f"{variable('api_hosts')} has {name!r}, expected names or addresses without scheme and port, "
                    "such as api,models.example.com"
                )
        own = self.api_host if self.api_host not in ("0.0.0.0", "::") else ""  # noqa: S104 - any address is no name
        return frozenset(name for name in (own, *listed) if name)

    @property
    def redis_url_with_password(self) -> str:
        """The URL with the password from `redis_password_file`, if that is set."""
        if not self.redis_password_file:
            return self.redis_url
        parts = urlsplit(self.redis_url)
        if parts.password:
            raise SettingError("QUEUECAST_REDIS_URL has a password and QUEUECAST_REDIS_PASSWORD_FILE is set; keep one")
        try:
            password = Path(self.redis_password_file).read_text().strip()
        except OSError as error:
            raise SettingError(f"QUEUECAST_REDIS_PASSWORD_FILE cannot be read: {error}") from None
        host = parts.netloc.rpartition("@")[2]
        return urlunsplit(parts._replace(netloc=f"{parts.username or ''}:{quote(password, safe='')}@{host}"))


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return f"QUEUECAST_{name.upper()}"


def read_settings(environ: Mapping[str, str] = os.environ) -> Settings:
    """Raises SettingError, naming the variable, for a value of the wrong kind or below its minimum."""
    given = {}
    for each in fields(Settings):
        text = environ.get(variable(each.name), "")
        if text:
            given[each.name] = _parsed(each.name, text, each.default, each.metadata["minimum"])
    settings = Settings(**given)
    if settings.durability not in DURABILITIES:
        raise SettingError(f"{variable('durability')} is {settings.durability!r}, expected {' or '.join(DURABILITIES)}")
    return settings


def _parsed(name: str, text: str, default: Any, minimum: int | None) -> Any:
    if isinstance(default, Path):
        return Path(text)
    if not isinstance(default, int):
        return text
    try:
        number = int(text)
    except ValueError:
        raise SettingError(f"{variable(name)} is {text!r}, expected a whole number") from None
    if minimum is not None and number < minimum:
        raise SettingError(f"{variable(name)} is {number}, expected at least {minimum}")
    return number
