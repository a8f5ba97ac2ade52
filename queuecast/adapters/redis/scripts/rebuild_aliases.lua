-- Replaces the aliases of a model and their history. Answers -1, or the present generation when it is not `expected`.
local model, expected = unpack(ARGV, 1, 2)

local key, history = ALIASES .. model, ALIAS_HISTORY .. model
local present = tonumber(redis.call('HGET', key, 'generation') or 0)
if present ~= tonumber(expected) then return present end
redis.call('DEL', key, history)
for at = 3, #ARGV, 3 do
  local alias, version, move = unpack(ARGV, at, at + 2)
  redis.call('HSET', key, 'generation', at / 3)
  if version == '' then
    redis.call('HDEL', key, 'alias:' .. alias)
  else
    redis.call('HSET', key, 'alias:' .. alias, version)
  end
  redis.call('RPUSH', history, move)
end
return -1
