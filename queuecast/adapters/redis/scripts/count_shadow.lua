-- Adds to the counters of a shadow. Answers 0 if the model has another champion or shadow by now.
local model, champion, version, now, failure = unpack(ARGV, 1, 5)

if redis.call('HGET', SHADOW .. model, 'version') ~= version then return 0 end
if redis.call('HGET', ALIASES .. model, 'alias:champion') ~= champion then return 0 end
local key = SHADOW_COUNTERS .. model
for at = 6, #ARGV, 2 do
  local name, amount = unpack(ARGV, at, at + 1)
  redis.call('HINCRBYFLOAT', key, name, amount)
  if name == 'compared' then redis.call('HSET', key, 'compared_at', now) end
end
if failure ~= '' then redis.call('HSET', key, 'failure', failure, 'failed_at', now) end
return 1
