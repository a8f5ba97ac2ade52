-- Adds rows with their outcomes to the windows of versions, once for each job. Answers 1, or 0 for a job without a record,
-- or the fingerprint of the outcomes that the job has. Each item is a version and one of its rows as JSON.
local job, fingerprint, model, now, window, live_s = unpack(ARGV, 1, 6)

local key = JOB .. job
if redis.call('EXISTS', key) == 0 then return 0 end
local known = redis.call('HGET', key, 'outcomes')
if known then return known end
redis.call('HSET', key, 'outcomes', fingerprint)
local touched = {}
for at = 7, #ARGV, 2 do
  local version, row = unpack(ARGV, at, at + 1)
  redis.call('LPUSH', OUTCOME_ROWS .. model .. ':' .. version, row)
  redis.call('HINCRBY', OUTCOMES .. model, 'total:' .. version, 1)
  touched[version] = true
end
for version in pairs(touched) do
  redis.call('LTRIM', OUTCOME_ROWS .. model .. ':' .. version, 0, window - 1)
  redis.call('EXPIRE', OUTCOME_ROWS .. model .. ':' .. version, live_s)
  redis.call('HSET', OUTCOMES .. model, 'last:' .. version, now)
end
redis.call('EXPIRE', OUTCOMES .. model, live_s)
return 1
