#!lua flags=allow-oom
-- Puts jobs whose delay is over into their lanes, at most 500. Answers the lanes that the caller must ring for.
-- needs lane.lua
local now = unpack(ARGV)

local rung = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', DELAYED, '-inf', now, 'LIMIT', 0, 500)) do
  redis.call('ZREM', DELAYED, id)
  local lane = redis.call('HGET', JOB .. id, 'lane')
  if lane and enter(id, lane) == 1 then rung[#rung + 1] = lane end
end
return rung
