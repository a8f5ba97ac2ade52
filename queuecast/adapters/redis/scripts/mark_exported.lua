-- Removes a model from those with moves to export, unless it has moved since: then answers 0.
local model, count = unpack(ARGV)

if redis.call('LLEN', ALIAS_HISTORY .. model) ~= tonumber(count) then return 0 end
redis.call('SREM', UNEXPORTED, model)
return 1
