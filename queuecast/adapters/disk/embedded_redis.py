"""Where the Redis of `make run` is: it gets another port and password at every start, so its URL is in a file.

Written by `deploy.embedded`, read by `queuecast.cli.admin`. The file is there while the server runs; only its owner may
read it, for the password is in it.
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
    """None where no server runs; one that was killed leaves a URL at which nothing answers."""
    try:
        return (folder / URL_FILE).read_text().strip()
    except FileNotFoundError:
        return None
