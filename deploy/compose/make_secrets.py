"""Makes the passwords of the stack, once, in the folder given: there is no default one.

Passwords that are there stay, so one may be put there by hand. For new ones remove the volume:
`docker compose down && docker volume rm queuecast_secrets`; the jobs in Redis stay.
"""

import hashlib
import secrets
import sys
from pathlib import Path

OWNER = 0o400
OWNER_AND_GROUP = 0o440  # Redis runs as another user, and is in the group


def main(folder: Path) -> None:
    password = kept_or_new(folder / "redis_password", OWNER_AND_GROUP)
    write(folder / "redis.acl", redis_users(password), OWNER_AND_GROUP)
    kept_or_new(folder / "flower_password", OWNER)


def kept_or_new(path: Path, mode: int) -> str:
    if not path.exists():
        write(path, secrets.token_urlsafe(32) + "\n", mode)
    return path.read_text().strip()


def redis_users(password: str) -> str:
    """One user, without the commands of operators and attackers: CONFIG, FLUSHALL, KEYS, MODULE, SHUTDOWN, ..."""
    digest = hashlib.sha256(password.encode()).hexdigest()
    return f"user default on #{digest} ~* &* +@all -@admin -@dangerous +info\n"


def write(path: Path, text: str, mode: int) -> None:
    """Renamed into place, so that a start that was cut off leaves no half a password."""
    draft = path.with_name(f".{path.name}")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    draft.write_text(text)
    draft.chmod(mode)
    draft.rename(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
