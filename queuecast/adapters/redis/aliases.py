"""Aliases and their history in Redis: a hash and a list for each model, moved together by one script.

The same script adds the model to `keys.UNEXPORTED`, the set of models with moves that are not in the audit file yet.
"""

import msgspec
import redis

from queuecast.adapters.redis import keys
from queuecast.adapters.redis.connection import call
from queuecast.adapters.redis.script_loader import Script
from queuecast.domain.errors import JobStoppedError, PreconditionFailedError
from queuecast.domain.job import Job
from queuecast.domain.model import Aliases, AliasMove


class RedisAliases:
    def __init__(self, client: redis.Redis) -> None:
        self._redis = client
        self._move = Script(client, "move_alias")
        self._mark_exported = Script(client, "mark_exported")
        self._rebuild = Script(client, "rebuild_aliases")

    def read(self, model: str) -> Aliases:
        fields = call(self._redis.hgetall, f"{keys.ALIASES}{model}")
        stored = {key.decode(): int(value) for key, value in fields.items()}
        generation = stored.pop("generation", 0)
        return Aliases(generation, {field.removeprefix("alias:"): version for field, version in stored.items()})

    def move(self, model: str, move: AliasMove, run: Job | None = None) -> None:
        present = call(
            self._move,
            model=model,
            generation=move.generation,
            alias=move.alias,
            version="" if move.is_deletion else move.version,
            move=msgspec.json.encode(move),
            job_id="" if run is None else run.id,
            attempt="" if run is None else run.attempt,
        )
        if run is not None and present == -2:
            raise JobStoppedError(f"job {run.id} was asked to stop, or another worker runs it now")
        if present >= 0:
            raise PreconditionFailedError(
                f"the aliases of {model} are at generation {present}, not at {move.generation - 1}: "
                "one was moved in between"
            )

    def history(self, model: str) -> list[AliasMove]:
        entries = call(self._redis.lrange, f"{keys.ALIAS_HISTORY}{model}", 0, -1)
        return [msgspec.json.decode(entry, type=AliasMove) for entry in entries]

    def rebuild(self, model: str, moves: list[AliasMove], expected: int) -> None:
        items = [(move.alias, "" if move.is_deletion else move.version, msgspec.json.encode(move)) for move in moves]
        present = call(self._rebuild, items, model=model, expected=expected)
        if present >= 0:
            raise PreconditionFailedError(
                f"the aliases of {model} are at generation {present}, not at {expected}: one was moved in between"
            )

    def unexported(self) -> list[str]:
        return sorted(model.decode() for model in call(self._redis.smembers, keys.UNEXPORTED))

    def mark_exported(self, model: str, count: int) -> bool:
        return bool(call(self._mark_exported, model=model, count=count))
