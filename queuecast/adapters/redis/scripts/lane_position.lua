-- Answers {a job's position in its lane or 0, how many entries the lane has lost so far}.
local lane, id = unpack(ARGV)

local job = redis.call('HMGET', JOB .. id, 'lane', 'place', 'state', 'entry')
local taken = tonumber(redis.call('HGET', TAKEN, lane) or 0)
if job[1] ~= lane or job[3] ~= 'queued' or not job[4] then return {0, taken} end
-- An entry that was taken and requeued, or removed from further back, counts as one in front; so 1 is the least.
return {math.max(1, tonumber(job[2]) - taken), taken}
