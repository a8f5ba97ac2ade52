"""What the scripts of the job store and of the lanes share: how a job enters and leaves its lane.

A lane is a stream `qc:lane:{lane}` with one consumer group; an entry carries a job's id and its number of rows and of
bytes, and the job's hash carries the entry's id. A lane without entries has no key. `qc:lanes` has the names of the
others, `qc:bells` when each was last rung for, `qc:attended` the worker that is at it and looks again by itself,
`qc:lingering` that it waits for `qc:wake:{lane}` to do so;
`qc:entered` and `qc:taken` how many entries came into each and how many were taken or left it unread; a job's `place`
is its number among those that came. `qc:entries` counts all entries that there ever were.
"""

# Finishing must go through when memory is used up, or nothing would ever be freed: what was accepted was counted in.
ALLOW_OOM = "#!lua flags=allow-oom\n"

LANE_FUNCTIONS = """
local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- rows, bytes: nil where the job's hash has them. ...: fields that are written to the hash with the others.
local function enter(id, lane, rows, bytes, ...)
  local key = 'qc:lane:' .. lane
  if redis.call('EXISTS', key) == 0 then
    redis.call('XGROUP', 'CREATE', key, 'workers', '0', 'MKSTREAM')
    redis.call('SADD', 'qc:lanes', lane)
  end
  -- Counted over all lanes, so that no id comes twice: Redis's own would, in a lane that empties and fills within a
  -- millisecond, and the worker that held the job before could write again.
  local job, number = 'qc:job:' .. id, redis.call('INCR', 'qc:entries')
  rows, bytes = rows or redis.call('HGET', job, 'n_rows') or 1, bytes or redis.call('HSTRLEN', job, 'rows')
  local entry = redis.pcall('XADD', key, now_ms() .. '-' .. number, 'job', id, 'rows', rows, 'bytes', bytes)
  if type(entry) == 'table' then  -- the clock was set back
    entry = redis.call('XADD', key, '*', 'job', id, 'rows', rows, 'bytes', bytes)
  end
  redis.call('HSET', job, 'lane', lane, 'entry', entry, 'place', redis.call('HINCRBY', 'qc:entered', lane, 1), ...)
  if redis.call('HEXISTS', 'qc:attended', lane) == 1 then
    if redis.call('HDEL', 'qc:lingering', lane) == 1 then
      redis.call('RPUSH', 'qc:wake:' .. lane, id)
      redis.call('EXPIRE', 'qc:wake:' .. lane, 5)
    end
    return 0
  end
  return redis.call('HSETNX', 'qc:bells', lane, now_ms())
end

local function take_out(lane, entry)
  local key = 'qc:lane:' .. lane
  local is_read = redis.call('XACK', key, 'workers', entry) == 1
  if redis.call('XDEL', key, entry) == 0 then return end
  if redis.call('XLEN', key) == 0 then
    redis.call('DEL', key)
    redis.call('SREM', 'qc:lanes', lane)
    for _, about in ipairs({'qc:bells', 'qc:entered', 'qc:taken'}) do redis.call('HDEL', about, lane) end
  elseif not is_read then
    redis.call('HINCRBY', 'qc:taken', lane, 1)
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
