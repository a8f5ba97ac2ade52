-- Replaces the aliases of a model and their history. Answers -1, or the present generation when it is not `expected`.
-- An item is a field of the hash with its value, or a move without a field.
local model, expected = unpack(ARGV, 1, 2)

local key, history = ALIASES .. model, ALIAS_HISTORY .. model
local present = tonumber(redis.call('HGET', key, 'generation') or 0)
if present ~= tonumber(expected) then return present end
redis.call('DEL', key, history, SHADOW_COUNTERS .. model)
for at = 3, #ARGV, 2 do
  local field, value = unpack(ARGV, at, at + 1)
  if field == '' then
    redis.call('RPUSH', history, value)
  else
    redis.call('HSET', key, field, value)
  end
end
redis.call('XADD', MOVES, 'MAXLEN', '~', 1000, '*', 'model', model)
return -1
