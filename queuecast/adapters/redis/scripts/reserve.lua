#!lua flags=allow-oom
-- Reserves the oldest jobs of a lane for a worker. Answers {{{entry, job id, {record, work, rows}}, ...}, must ring}.
-- needs lane.lua
local lane, worker, max_rows, clears_bell, max_bytes, stays, attended_ms = unpack(ARGV)

local key = LANE .. lane
max_rows, max_bytes = tonumber(max_rows), tonumber(max_bytes)
if clears_bell == '1' then redis.call('HDEL', BELLS, lane) end
local attendant, since = attendant_of(lane)
local is_attended = attendant and attendant ~= worker and now_ms() - since < tonumber(attended_ms)

local function record_attendance()
  if stays == '1' then
    redis.call('HSET', ATTENDED, lane, worker .. ' ' .. now_ms())
  else
    redis.call('HDEL', ATTENDED, lane)
  end
end

local function size(entry)
  return tonumber(entry[2][4]) or 1, tonumber(entry[2][6]) or 0
end

if redis.call('EXISTS', key) == 0 then
  if not is_attended then record_attendance() end
  return {{}, 0}
end
local waiting = waiting_entries(key, max_rows)
if is_attended then
  local all_rows, all_bytes = 0, 0
  for _, entry in ipairs(waiting) do
    local rows, bytes = size(entry)
    all_rows, all_bytes = all_rows + rows, all_bytes + bytes
  end
  -- The attendant takes so few by itself: one larger call costs less than two small ones.
  if all_rows * 2 < max_rows and all_bytes * 2 < max_bytes then return {{}, 0} end
end

local taken, all_rows, all_bytes = {}, 0, 0
for _, entry in ipairs(waiting) do
  local rows, bytes = size(entry)
  all_rows, all_bytes = all_rows + rows, all_bytes + bytes
  if #taken > 0 and (all_rows > max_rows or all_bytes > max_bytes) then break end
  local id = entry[2][2]
  taken[#taken + 1] = {entry[1], id, redis.call('HMGET', JOB .. id, 'record', 'work', 'rows')}
end
if #taken > 0 then
  redis.call('XREADGROUP', 'GROUP', 'workers', worker, 'COUNT', #taken, 'STREAMS', key, '>')
  redis.call('HINCRBY', TAKEN, lane, #taken)
end
record_attendance()
local are_more = #taken < #waiting or (#waiting == max_rows and waiting_entries(key, 1)[1] ~= nil)
return {taken, are_more and redis.call('HSETNX', BELLS, lane, now_ms()) or 0}
