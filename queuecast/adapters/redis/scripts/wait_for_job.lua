#!lua flags=allow-oom
-- Prepares an attending worker to block on `WAKE`. Answers 1 if it may, 0 if a job is waiting, -1 if it does not
-- attend the lane.
-- needs lane.lua
local lane, worker = unpack(ARGV)

local key = LANE .. lane
if attendant_of(lane) ~= worker then return -1 end
redis.call('DEL', WAKE .. lane)
if redis.call('EXISTS', key) == 1 and waiting_entries(key, 1)[1] then return 0 end
redis.call('HSET', LINGERING, lane, 1)
return 1
