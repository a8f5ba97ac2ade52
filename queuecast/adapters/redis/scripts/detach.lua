#!lua flags=allow-oom
-- Ends a worker's attendance of a lane. Answers 1 when the worker must ring for the jobs that are waiting.
-- needs lane.lua
local lane, worker = unpack(ARGV)

local key = LANE .. lane
if attendant_of(lane) == worker then
  redis.call('HDEL', ATTENDED, lane)
  redis.call('HDEL', LINGERING, lane)
elseif redis.call('HEXISTS', ATTENDED, lane) == 1 then
  return 0
end
if redis.call('EXISTS', key) == 0 then return 0 end
if not waiting_entries(key, 1)[1] then return 0 end
return redis.call('HSETNX', BELLS, lane, now_ms())
