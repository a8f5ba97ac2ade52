-- The record and the result of each job.
local found = {}
for _, id in ipairs(ARGV) do
  found[#found + 1] = redis.call('HMGET', JOB .. id, 'record', 'result')
end
return found
