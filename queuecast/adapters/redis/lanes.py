"""Lanes as Redis Streams with one consumer group: what was read and not acknowledged stays, with how long it is silent.

The keys are described in `queuecast.adapters.redis.lane_scripts`; `qc:delayed` has the jobs that wait out a delay.
"""

from typing import Any

import redis

from queuecast.adapters.job_codec import decode_all
from queuecast.adapters.redis.connection import translated
from queuecast.adapters.redis.lane_scripts import ALLOW_OOM, LANE_FUNCTIONS
from queuecast.domain.job import State
from queuecast.domain.lane import ATTENDANT_GONE_S, MAX_BYTES_PER_CLAIM
from queuecast.ports.lanes import LanePosition, LaneStats, Reservation

LANES = "qc:lanes"
GROUP = "workers"
PAGE = 500  # reservations of one lane that are read at a time
FORGOTTEN_AFTER_S = 3600.0
ATTENDED_MS = 100  # since its last claim an attendant is taken to be there: it said that it is back in a moment

_LOOKS = """
local function unread(key, most)
  local group, read_to = redis.call('XINFO', 'GROUPS', key)[1], nil
  for i = 1, #group, 2 do
    if group[i] == 'last-delivered-id' then read_to = group[i + 1] end
  end
  return redis.call('XRANGE', key, '(' .. read_to, '+', 'COUNT', most)
end

local function attendant_of(lane)  -- and since when
  return string.match(redis.call('HGET', 'qc:attended', lane) or '', '^(.*) (%d+)$')
end
"""

_RESERVE = (
    ALLOW_OOM
    + LANE_FUNCTIONS
    + _LOOKS
    + """
local lane, key = ARGV[1], 'qc:lane:' .. ARGV[1]
local most_rows, most_bytes = tonumber(ARGV[3]), tonumber(ARGV[5])
if ARGV[4] == '1' then redis.call('HDEL', 'qc:bells', lane) end
local attendant, since = attendant_of(lane)
local is_served = attendant and attendant ~= ARGV[2] and now_ms() - since < tonumber(ARGV[7])
local function attend()
  if ARGV[6] == '1' then redis.call('HSET', 'qc:attended', lane, ARGV[2] .. ' ' .. now_ms())
  else redis.call('HDEL', 'qc:attended', lane) end
end
if redis.call('EXISTS', key) == 0 then
  if not is_served then attend() end
  return {{}, 0}
end
local waiting = unread(key, most_rows)
local function size(entry) return tonumber(entry[2][4]) or 1, tonumber(entry[2][6]) or 0 end
if is_served then
  local all_rows, all_bytes = 0, 0
  for _, entry in ipairs(waiting) do
    local more_rows, more_bytes = size(entry)
    all_rows, all_bytes = all_rows + more_rows, all_bytes + more_bytes
  end
  if all_rows * 2 < most_rows and all_bytes * 2 < most_bytes then return {{}, 0} end
end
local found, rows, bytes = {}, 0, 0
for _, entry in ipairs(waiting) do
  local more_rows, more_bytes = size(entry)
  rows, bytes = rows + more_rows, bytes + more_bytes
  if #found > 0 and (rows > most_rows or bytes > most_bytes) then break end
  found[#found + 1] = {entry[1], entry[2][2], redis.call('HMGET', 'qc:job:' .. entry[2][2], 'record', 'work', 'rows')}
end
if #found > 0 then
  redis.call('XREADGROUP', 'GROUP', 'workers', ARGV[2], 'COUNT', #found, 'STREAMS', key, '>')
  redis.call('HINCRBY', 'qc:taken', lane, #found)
end
attend()
local are_more = #found < #waiting
if not are_more and #waiting == most_rows then
  are_more = unread(key, 1)[1] ~= nil
end
if are_more then
  return {found, redis.call('HSETNX', 'qc:bells', lane, now_ms())}
end
return {found, 0}
"""
)

# XCLAIM with JUSTID sets the silence back to zero; of an entry that was taken out it returns nothing.
_RENEW = (
    ALLOW_OOM
    + """
local states = {}
for i = 1, #ARGV, 4 do
  local claimed = redis.pcall('XCLAIM', 'qc:lane:' .. ARGV[i], 'workers', ARGV[i + 3], 0, ARGV[i + 1], 'JUSTID')
  local is_held = not claimed.err and #claimed == 1
  states[#states + 1] = is_held and redis.call('HGET', 'qc:job:' .. ARGV[i + 2], 'state') or ''
end
return states
"""
)

_LINGER = (
    ALLOW_OOM
    + _LOOKS
    + """
local lane, key = ARGV[1], 'qc:lane:' .. ARGV[1]
if attendant_of(lane) ~= ARGV[2] then return -1 end
redis.call('DEL', 'qc:wake:' .. lane)
if redis.call('EXISTS', key) == 1 and unread(key, 1)[1] then return 0 end
redis.call('HSET', 'qc:lingering', lane, 1)
return 1
"""
)

_LEAVE = (
    ALLOW_OOM
    + LANE_FUNCTIONS
    + _LOOKS
    + """
local lane, key = ARGV[1], 'qc:lane:' .. ARGV[1]
if attendant_of(lane) == ARGV[2] then
  redis.call('HDEL', 'qc:attended', lane)
  redis.call('HDEL', 'qc:lingering', lane)
elseif redis.call('HEXISTS', 'qc:attended', lane) == 1 then
  return 0
end
if redis.call('EXISTS', key) == 0 then return 0 end
if not unread(key, 1)[1] then return 0 end
return redis.call('HSETNX', 'qc:bells', lane, now_ms())
"""
)

_GIVE_BACK = (
    ALLOW_OOM
    + LANE_FUNCTIONS
    + """
local lane, entry, id = ARGV[1], ARGV[2], ARGV[3]
local job = redis.call('HMGET', 'qc:job:' .. id, 'entry', 'state')
if job[1] == entry and job[2] == 'queued' then
  leave(id)
  return enter(id, lane)
end
if job[1] ~= entry then take_out(lane, entry) end
return 0
"""
)

_RELEASE_DUE = (
    ALLOW_OOM
    + LANE_FUNCTIONS
    + """
local rung = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', 'qc:delayed', '-inf', ARGV[1], 'LIMIT', 0, 500)) do
  redis.call('ZREM', 'qc:delayed', id)
  local lane = redis.call('HGET', 'qc:job:' .. id, 'lane')
  if lane and enter(id, lane) == 1 then rung[#rung + 1] = lane end
end
return rung
"""
)

_NOTE_BELL = (
    ALLOW_OOM
    + LANE_FUNCTIONS
    + """
redis.call('HDEL', 'qc:attended', ARGV[1])  -- whoever said so is late, or gone
if redis.call('EXISTS', 'qc:lane:' .. ARGV[1]) == 1 then redis.call('HSET', 'qc:bells', ARGV[1], now_ms()) end
"""
)

# In one look: jobs come and go between two.
_DEPTHS = (
    LANE_FUNCTIONS
    + _LOOKS
    + """
local function bell_of(lane)
  local _, since = attendant_of(lane)
  local is_attended = since and now_ms() - since < tonumber(ARGV[1])
  return redis.call('HGET', 'qc:bells', lane) or (is_attended and since) or false
end
local function depth(lane, key)
  local reserved = redis.call('XPENDING', key, 'workers')[1]
  local oldest = unread(key, 1)[1]
  return {lane, redis.call('XLEN', key) - reserved, reserved, oldest and oldest[1] or false, bell_of(lane)}
end
local lanes, found = redis.call('SMEMBERS', 'qc:lanes'), {}
table.sort(lanes)
for _, lane in ipairs(lanes) do
  local key = 'qc:lane:' .. lane
  if redis.call('EXISTS', key) == 1 then found[#found + 1] = depth(lane, key) end
end
return found
"""
)

# How many came before it less how many went. One that was taken and given back, or left the lane unread, may be counted
# for one that is still before it: so the first place is the least.
_STANDING = """
local lane, id = ARGV[1], ARGV[2]
local job = redis.call('HMGET', 'qc:job:' .. id, 'lane', 'place', 'state', 'entry')
local taken = tonumber(redis.call('HGET', 'qc:taken', lane) or 0)
if job[1] ~= lane or job[3] ~= 'queued' or not job[4] then return {0, taken} end
return {math.max(1, tonumber(job[2]) - taken), taken}
"""

# What a worker holds is lost for ever when the group forgets it, so it is looked at and forgotten at once.
_TIDY = (
    LANE_FUNCTIONS
    + _LOOKS
    + """
for _, lane in ipairs(redis.call('SMEMBERS', 'qc:lanes')) do
  local key = 'qc:lane:' .. lane
  local consumers = redis.call('EXISTS', key) == 1 and redis.call('XINFO', 'CONSUMERS', key, 'workers') or {}
  for _, consumer in ipairs(consumers) do
    local about = {}
    for i = 1, #consumer, 2 do about[consumer[i]] = consumer[i + 1] end
    if about.pending == 0 and about.idle > tonumber(ARGV[1]) then
      redis.call('XGROUP', 'DELCONSUMER', key, 'workers', about.name)
    end
  end
end
for _, lane in ipairs(redis.call('HKEYS', 'qc:attended')) do
  local _, since = attendant_of(lane)
  if now_ms() - since > tonumber(ARGV[1]) then redis.call('HDEL', 'qc:attended', lane) end
end
for _, lane in ipairs(redis.call('HKEYS', 'qc:lingering')) do
  if redis.call('HEXISTS', 'qc:attended', lane) == 0 then redis.call('HDEL', 'qc:lingering', lane) end
end
"""
)


class RedisLanes:
    def __init__(self, client: redis.Redis) -> None:
        self._redis = client
        self._reserve = client.register_script(_RESERVE)
        self._renew = client.register_script(_RENEW)
        self._linger = client.register_script(_LINGER)
        self._leave = client.register_script(_LEAVE)
        self._give_back = client.register_script(_GIVE_BACK)
        self._release_due = client.register_script(_RELEASE_DUE)
        self._note_bell = client.register_script(_NOTE_BELL)
        self._depths = client.register_script(_DEPTHS)
        self._tidy = client.register_script(_TIDY)
        self._standing = client.register_script(_STANDING)

    def reserve(
        self, lane: str, worker: str, rows: int, *, clears_notification: bool, stays: bool = False
    ) -> tuple[list[Reservation], bool]:
        args = [lane, worker, rows, int(clears_notification), MAX_BYTES_PER_CLAIM, int(stays), ATTENDED_MS]
        found, ring = translated(self._reserve, args=args)
        reserved = [
            Reservation(lane, entry.decode(), job_id.decode(), worker, decode_all(*order))
            for entry, job_id, order in found
        ]
        return reserved, ring == 1

    def renew(self, reservations: list[Reservation]) -> list[State | None]:
        args = [part for each in reservations for part in (each.lane, each.entry, each.job_id, each.worker)]
        states = translated(self._renew, args=args)
        return [State(state.decode()) if state else None for state in states]

    def wait_for_job(self, lane: str, worker: str, timeout_s: float) -> bool:
        answer = translated(self._linger, args=[lane, worker])
        if answer == 1:
            return translated(self._redis.blpop, [f"qc:wake:{lane}"], timeout=timeout_s) is not None
        return bool(answer == 0)

    def detach(self, lane: str, worker: str) -> bool:
        return bool(translated(self._leave, args=[lane, worker]) == 1)

    def requeue(self, reservation: Reservation) -> bool:
        answer = translated(self._give_back, args=[reservation.lane, reservation.entry, reservation.job_id])
        return bool(answer == 1)

    def reservations(self, silent_s: float = 0.0) -> list[Reservation]:
        lanes = sorted(name.decode() for name in translated(self._redis.smembers, LANES))
        pending = self._pending(lanes, int(silent_s * 1000))
        held = [(lane, each) for lane, entries in zip(lanes, pending, strict=True) for each in entries]
        pipe = self._redis.pipeline(transaction=False)
        for lane, each in held:
            pipe.xrange(_key(lane), each["message_id"], each["message_id"])
        contents = translated(pipe.execute) if held else []
        return [
            Reservation(lane, each["message_id"].decode(), content[0][1][b"job"].decode(), each["consumer"].decode())
            for (lane, each), content in zip(held, contents, strict=True)
            if content
        ]

    def enqueue_due(self, now: float) -> list[str]:
        return [lane.decode() for lane in translated(self._release_due, args=[now])]

    def record_ring(self, lane: str) -> None:
        translated(self._note_bell, args=[lane])

    def stats(self) -> list[LaneStats]:
        return [
            LaneStats(
                lane.decode(),
                waiting,
                reserved,
                oldest_at=int(oldest.split(b"-")[0]) / 1000 if oldest else None,
                bell_at=int(bell) / 1000 if bell else None,
            )
            for lane, waiting, reserved, oldest, bell in translated(self._depths, args=[int(ATTENDANT_GONE_S * 1000)])
        ]

    def position(self, lane: str, job_id: str) -> LanePosition:
        position, taken = translated(self._standing, args=[lane, job_id])
        return LanePosition(position or None, taken)

    def forget_workers(self, silent_s: float = FORGOTTEN_AFTER_S) -> None:
        translated(self._tidy, args=[silent_s * 1000])

    def _pending(self, lanes: list[str], idle_ms: int) -> list[list[Any]]:
        """What the group has of each lane; nothing of a lane that went away meanwhile."""
        found: dict[str, list[Any]] = {lane: [] for lane in lanes}
        starts = dict.fromkeys(lanes, "-")
        while starts:
            pipe = self._redis.pipeline(transaction=False)
            for lane, start in starts.items():
                pipe.xpending_range(_key(lane), GROUP, start, "+", PAGE, idle=idle_ms)
            for lane, answer in zip(list(starts), translated(pipe.execute, raise_on_error=False), strict=True):
                if isinstance(answer, redis.RedisError) and not isinstance(answer, redis.ResponseError):
                    translated(_raise, answer)
                page = [] if isinstance(answer, redis.ResponseError) else answer
                found[lane] += page
                if len(page) == PAGE:
                    starts[lane] = f"({page[-1]['message_id'].decode()}"
                else:
                    del starts[lane]
        return list(found.values())


def _raise(error: Exception) -> None:
    raise error


def _key(lane: str) -> str:
    return f"qc:lane:{lane}"
