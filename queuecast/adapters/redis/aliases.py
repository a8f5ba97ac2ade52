"""Aliases and their history in Redis: a hash and a list for each model, moved together by one script.

The same script adds the model to `keys.UNEXPORTED`, the set of models with moves that are not in the audit file yet.
"""

import msgspec
import redis

from queuecast.adapters.redis import keys
from queuecast.adapters.redis.connection import call
from queuecast.adapters.redis.script_loader import Script, word_list
from queuecast.domain.deletion import needed_by_jobs
from queuecast.domain.errors import JobStoppedError
from queuecast.domain.job import FINAL_STATES, Job
from queuecast.domain.model import MODEL_DELETION, Aliases, AliasMove, aliases_after, moved_in_between


class RedisAliases:
    def __init__(self, client: redis.Redis) -> None:
        self._redis = client
        self._move = Script(client, "move_alias")
        self._delete = Script(client, "delete_versions")
        self._mark_exported = Script(client, "mark_exported")
        self._rebuild = Script(client, "rebuild_aliases")

    def read(self, model: str) -> Aliases:
        fields = call(self._redis.hgetall, f"{keys.ALIASES}{model}")
        stored = {key.decode(): int(value) for key, value in fields.items()}
        named = {field.removeprefix("alias:"): stored[field] for field in stored if field.startswith("alias:")}
        deleted = [int(field.removeprefix("deleted:")) for field in stored if field.startswith("deleted:")]
        return Aliases(stored.get("generation", 0), named, frozenset(deleted))

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
            raise moved_in_between(model, present, move.generation - 1)

    def delete(self, model: str, deletion: AliasMove, made_by: str = "") -> None:
        refusal, detail, job_ids = call(
            self._delete,
            model=model,
            generation=deletion.generation,
            version=deletion.version,
            is_whole_model=int(deletion.action == MODEL_DELETION),
            made_by=made_by,
            move=msgspec.json.encode(deletion),
            final_states=word_list(FINAL_STATES),
        )
        if refusal == b"moved":
            raise moved_in_between(model, detail, deletion.generation - 1)
        if refusal:
            raise needed_by_jobs(model, deletion, detail, [job_id.decode() for job_id in job_ids])

    def history(self, model: str) -> list[AliasMove]:
        entries = call(self._redis.lrange, f"{keys.ALIAS_HISTORY}{model}", 0, -1)
        return [msgspec.json.decode(entry, type=AliasMove) for entry in entries]

    def rebuild(self, model: str, moves: list[AliasMove], expected: int) -> None:
        rebuilt = aliases_after(moves)
        fields = [(f"alias:{alias}", version) for alias, version in rebuilt.versions.items()]
        fields += [(f"deleted:{version}", 1) for version in rebuilt.deleted]
        fields += [("generation", rebuilt.generation)] if moves else []
        items = [*fields, *(("", msgspec.json.encode(move)) for move in moves)]
        present = call(self._rebuild, items, model=model, expected=expected)
        if present >= 0:
            raise moved_in_between(model, present, expected)

    def wait_for_moves(self, since: str, timeout_s: float) -> tuple[list[str], str]:
        if not since:
            last = call(self._redis.xrevrange, keys.MOVES, count=1)
            return [], last[0][0].decode() if last else "0-0"
        (answer,) = call(self._redis.xread, {keys.MOVES: since}, block=int(timeout_s * 1000)) or [("", [])]
        entries = answer[1]
        models = dict.fromkeys(fields[b"model"].decode() for _, fields in entries)
        return list(models), entries[-1][0].decode() if entries else since

    def claim_check(self, model: str, generation: int) -> bool:
        key = f"{keys.CHAMPION_CHECK}{model}:{generation}"
        return bool(call(self._redis.set, key, 1, nx=True, ex=3600))

    def unexported(self) -> list[str]:
        return sorted(model.decode() for model in call(self._redis.smembers, keys.UNEXPORTED))

    def mark_exported(self, model: str, count: int) -> bool:
        return bool(call(self._mark_exported, model=model, count=count))
