-- Sets the shadow of a model. The counters of another version are removed.
local model, version, sample, since = unpack(ARGV)

local key = SHADOW .. model
if redis.call('HGET', key, 'version') ~= version then redis.call('DEL', SHADOW_COUNTERS .. model) end
redis.call('HSET', key, 'version', version, 'sample', sample, 'since', since)
return 1
