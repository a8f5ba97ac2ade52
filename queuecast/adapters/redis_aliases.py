"""Aliases and their history in Redis: a hash and a list a model, moved together by one script."""

import msgspec
import redis

from queuecast.adapters.redis_jobs import translated
from queuecast.domain.errors import JobStoppedError, PreconditionFailedError
from queuecast.domain.job import Job
from queuecast.domain.model import Aliases, AliasMove

# The alias's own fields are prefixed, so that no alias can be named like the counter.
_MOVE = """
if ARGV[5] ~= '' then
  local run = redis.call('HMGET', 'qc:job:' .. ARGV[5], 'state', 'attempt')
  if run[1] ~= 'running' or run[2] ~= ARGV[6] then return -2 end
end
local generation = tonumber(redis.call('HGET', KEYS[1], 'generation') or 0)
if generation ~= tonumber(ARGV[1]) - 1 then return generation end
redis.call('HSET', KEYS[1], 'generation', ARGV[1], 'alias:' .. ARGV[2], ARGV[3])
redis.call('RPUSH', KEYS[2], ARGV[4])
return -1
"""


class RedisAliases:
    def __init__(self, client: redis.Redis) -> None:
        self._redis = client
        self._move = client.register_script(_MOVE)

    def read(self, model: str) -> Aliases:
        stored = {key.decode(): int(value) for key, value in translated(self._redis.hgetall, _key(model)).items()}
        generation = stored.pop("generation", 0)
        return Aliases(generation, {field.removeprefix("alias:"): version for field, version in stored.items()})

    def move(self, model: str, move: AliasMove, run: Job | None = None) -> None:
        keys = [_key(model), _history_key(model)]
        fence = ["", ""] if run is None else [run.id, run.attempt]
        args = [move.generation, move.alias, move.version, msgspec.json.encode(move), *fence]
        present = translated(self._move, keys=keys, args=args)
        if run is not None and present == -2:
            raise JobStoppedError(f"job {run.id} was asked to stop, or is run by somebody else now")
        if present >= 0:
            raise PreconditionFailedError(
                f"the aliases of {model} are at generation {present}, not at {move.generation - 1}: somebody moved one"
            )

    def history(self, model: str) -> list[AliasMove]:
        entries = translated(self._redis.lrange, _history_key(model), 0, -1)
        return [msgspec.json.decode(entry, type=AliasMove) for entry in entries]


def _key(model: str) -> str:
    return f"qc:aliases:{model}"


def _history_key(model: str) -> str:
    return f"qc:alias-history:{model}"
