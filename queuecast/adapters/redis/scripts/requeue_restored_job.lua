#!lua flags=allow-oom
-- Puts a queued job back into its lane: a backup has the records and not the lanes. Answers 1 if it was not there.
-- needs lane.lua
local id = unpack(ARGV)

local job = redis.call('HMGET', JOB .. id, 'state', 'lane', 'entry')
if job[1] ~= 'queued' or redis.call('ZSCORE', DELAYED, id) then return 0 end
if job[3] and #redis.call('XRANGE', LANE .. job[2], job[3], job[3]) == 1 then return 0 end
enter(id, job[2])
return 1
