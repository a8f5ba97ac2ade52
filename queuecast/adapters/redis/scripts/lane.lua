-- How jobs enter and leave a lane. The loader puts this file in front of the scripts that need it.

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Puts a job at the end of a lane. Answers 1 when the caller must ring for it.
-- rows, bytes: nil when the job's hash has them. ...: more fields to write into the hash.
local function enter(id, lane, rows, bytes, ...)
  local key, job = LANE .. lane, JOB .. id
  if redis.call('EXISTS', key) == 0 then
    redis.call('XGROUP', 'CREATE', key, 'workers', '0', 'MKSTREAM')
    redis.call('SADD', LANES, lane)
  end
  -- The second half of an entry's id is a count over all lanes, so that no id is used twice. Redis would use one again
  -- when a lane empties and fills within a millisecond, and then a worker that lost the job could still write to it.
  local number = redis.call('INCR', ENTRIES)
  rows = rows or redis.call('HGET', job, 'n_rows') or 1
  bytes = bytes or redis.call('HSTRLEN', job, 'rows')
  local entry = redis.pcall('XADD', key, now_ms() .. '-' .. number, 'job', id, 'rows', rows, 'bytes', bytes)
  if type(entry) == 'table' then -- an error: the clock was set back, and the id is below the stream's last
    entry = redis.call('XADD', key, '*', 'job', id, 'rows', rows, 'bytes', bytes)
  end
  local place = redis.call('HINCRBY', ENTERED, lane, 1)
  redis.call('HSET', job, 'lane', lane, 'entry', entry, 'place', place, ...)
  if redis.call('HEXISTS', ATTENDED, lane) == 1 then
    if redis.call('HDEL', LINGERING, lane) == 1 then
      redis.call('RPUSH', WAKE .. lane, id)
      redis.call('EXPIRE', WAKE .. lane, 5)
    end
    return 0
  end
  return redis.call('HSETNX', BELLS, lane, now_ms())
end

-- Removes an entry from a lane, and all that is known about the lane once it is empty.
local function remove_entry(lane, entry)
  local key = LANE .. lane
  local was_taken = redis.call('XACK', key, 'workers', entry) == 1
  if redis.call('XDEL', key, entry) == 0 then return end
  if redis.call('XLEN', key) == 0 then
    redis.call('DEL', key)
    redis.call('SREM', LANES, lane)
    for _, hash in ipairs({BELLS, ENTERED, TAKEN}) do redis.call('HDEL', hash, lane) end
  elseif not was_taken then
    redis.call('HINCRBY', TAKEN, lane, 1)
  end
end

local function leave(id)
  local job = redis.call('HMGET', JOB .. id, 'lane', 'entry')
  if job[2] then
    remove_entry(job[1], job[2])
    redis.call('HDEL', JOB .. id, 'entry')
  end
end

-- The first entries that no worker has taken.
local function waiting_entries(key, limit)
  local group, taken_to = redis.call('XINFO', 'GROUPS', key)[1], nil
  for i = 1, #group, 2 do
    if group[i] == 'last-delivered-id' then taken_to = group[i + 1] end
  end
  return redis.call('XRANGE', key, '(' .. taken_to, '+', 'COUNT', limit)
end

-- The worker that attends a lane, and when it last reserved jobs (ms); nil for a lane without one.
local function attendant_of(lane)
  return string.match(redis.call('HGET', ATTENDED, lane) or '', '^(.*) (%d+)$')
end
