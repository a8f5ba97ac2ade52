"""What the scripts of the job store and of the lanes share: how a job enters and leaves its lane.

A lane is a stream `qc:lane:{lane}` with one consumer group; an entry carries a job's id, and the job's hash carries
the entry's. A lane without entries has no key. `qc:lanes` has the names of the others, `qc:bells` when each was last
rung for. `qc:entries` counts all entries that there ever were.
"""

# Finishing must go through when memory is used up, or nothing would ever be freed: what was accepted was counted in.
ALLOW_OOM = "#!lua flags=allow-oom\n"

LANE_FUNCTIONS = """
local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function enter(id, lane)
  local key = 'qc:lane:' .. lane
  if redis.call('EXISTS', key) == 0 then
    redis.call('XGROUP', 'CREATE', key, 'workers', '0', 'MKSTREAM')
    redis.call('SADD', 'qc:lanes', lane)
  end
  -- Counted over all lanes, so that no id comes twice: Redis's own would, in a lane that empties and fills within a
  -- millisecond, and the worker that held the job before could write again.
  local entry = redis.pcall('XADD', key, now_ms() .. '-' .. redis.call('INCR', 'qc:entries'), 'job', id)
  if type(entry) == 'table' then entry = redis.call('XADD', key, '*', 'job', id) end  -- the clock was set back
  redis.call('HSET', 'qc:job:' .. id, 'lane', lane, 'entry', entry)
  return redis.call('HSETNX', 'qc:bells', lane, now_ms())
end

local function take_out(lane, entry)
  local key = 'qc:lane:' .. lane
  if redis.call('EXISTS', key) == 0 then return end
  redis.call('XACK', key, 'workers', entry)
  redis.call('XDEL', key, entry)
  if redis.call('XLEN', key) == 0 then
    redis.call('DEL', key)
    redis.call('SREM', 'qc:lanes', lane)
    redis.call('HDEL', 'qc:bells', lane)
  end
end

local function leave(id)
  local place = redis.call('HMGET', 'qc:job:' .. id, 'lane', 'entry')
  if place[2] then
    take_out(place[1], place[2])
    redis.call('HDEL', 'qc:job:' .. id, 'entry')
  end
end
"""
