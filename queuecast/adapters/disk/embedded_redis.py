"""The URL of the Redis that `make run` starts, in a file: port and password are new at every start.

`deploy.embedded` writes the file and `queuecast.cli.admin` reads it. It exists while the server runs, and only its
owner may read it, because it contains the password.
"""

from pathlib import Path

URL_FILE = "url"


def redis_folder(data_dir: Path) -> Path:
    return data_dir / "redis"


def publish_url(folder: Path, url: str) -> None:
    draft = folder / f".{URL_FILE}"
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    draft.write_text(url + "\n")
    draft.rename(folder / URL_FILE)


def forget_url(folder: Path) -> None:
    (folder / URL_FILE).unlink(missing_ok=True)


def published_url(folder: Path) -> str | None:
    """None when no server runs. A server that was killed leaves a URL where nothing answers."""
    try:
        return (folder / URL_FILE).read_text().strip()
    except FileNotFoundError:
        return None
