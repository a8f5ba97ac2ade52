"""Aliases and their history in Redis: a hash and a list a model, moved together by one script.

The same script notes the model in `qc:audit`, the set of those with moves that are not in the audit file yet.
"""

import msgspec
import redis

from queuecast.adapters.redis.connection import translated
from queuecast.adapters.redis.lane_scripts import ALLOW_OOM
from queuecast.domain.errors import JobStoppedError, PreconditionFailedError
from queuecast.domain.job import Job
from queuecast.domain.model import Aliases, AliasMove

# The alias's own fields are prefixed, so that no alias can be named like the counter.
# A training that was accepted must be able to end when memory is used up.
_MOVE = (
    ALLOW_OOM
    + """
if ARGV[5] ~= '' then
  local run = redis.call('HMGET', 'qc:job:' .. ARGV[5], 'state', 'attempt')
  if run[1] ~= 'running' or run[2] ~= ARGV[6] then return -2 end
end
local generation = tonumber(redis.call('HGET', KEYS[1], 'generation') or 0)
if generation ~= tonumber(ARGV[1]) - 1 then return generation end
redis.call('HSET', KEYS[1], 'generation', ARGV[1], 'alias:' .. ARGV[2], ARGV[3])
redis.call('RPUSH', KEYS[2], ARGV[4])
redis.call('SADD', KEYS[3], ARGV[7])
return -1
"""
)

# A move that came after the file was written leaves the model in the set.
_MARK_FILED = """
if redis.call('LLEN', KEYS[1]) ~= tonumber(ARGV[2]) then return 0 end
redis.call('SREM', KEYS[2], ARGV[1])
return 1
"""

_REBUILD = """
local generation = tonumber(redis.call('HGET', KEYS[1], 'generation') or 0)
if generation ~= tonumber(ARGV[1]) then return generation end
redis.call('DEL', KEYS[1], KEYS[2])
for at = 2, #ARGV, 3 do
  redis.call('HSET', KEYS[1], 'generation', (at + 1) / 3, 'alias:' .. ARGV[at], ARGV[at + 1])
  redis.call('RPUSH', KEYS[2], ARGV[at + 2])
end
return -1
"""
AUDIT = "qc:audit"


class RedisAliases:
    def __init__(self, client: redis.Redis) -> None:
        self._redis = client
        self._move = client.register_script(_MOVE)
        self._mark_filed = client.register_script(_MARK_FILED)
        self._rebuild = client.register_script(_REBUILD)

    def read(self, model: str) -> Aliases:
        stored = {key.decode(): int(value) for key, value in translated(self._redis.hgetall, _key(model)).items()}
        generation = stored.pop("generation", 0)
        return Aliases(generation, {field.removeprefix("alias:"): version for field, version in stored.items()})

    def move(self, model: str, move: AliasMove, run: Job | None = None) -> None:
        keys = [_key(model), _history_key(model), AUDIT]
        fence = ["", ""] if run is None else [run.id, run.attempt]
        args = [move.generation, move.alias, move.version, msgspec.json.encode(move), *fence, model]
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

    def rebuild(self, model: str, moves: list[AliasMove], expected: int) -> None:
        entries = [part for move in moves for part in (move.alias, move.version, msgspec.json.encode(move))]
        present = translated(self._rebuild, keys=[_key(model), _history_key(model)], args=[expected, *entries])
        if present >= 0:
            raise PreconditionFailedError(
                f"the aliases of {model} are at generation {present}, not at {expected}: somebody moved one meanwhile"
            )

    def unexported(self) -> list[str]:
        return sorted(model.decode() for model in translated(self._redis.smembers, AUDIT))

    def mark_exported(self, model: str, count: int) -> bool:
        return bool(translated(self._mark_filed, keys=[_history_key(model), AUDIT], args=[model, count]))


def _key(model: str) -> str:
    return f"qc:aliases:{model}"


def _history_key(model: str) -> str:
    return f"qc:alias-history:{model}"
