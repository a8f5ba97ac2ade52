#!lua flags=allow-oom
-- Moves an alias, or deletes it without a version, and appends the move to the history. Answers -1, -2 when the run does not own its job any more, or
-- the present generation when it is not the one before.
-- allow-oom: a training that was accepted must be able to end when memory is used up.
local model, generation, alias, version, move, job_id, attempt = unpack(ARGV)

if job_id ~= '' then
  local run = redis.call('HMGET', JOB .. job_id, 'state', 'attempt')
  if run[1] ~= 'running' or run[2] ~= attempt then return -2 end
end
local key = ALIASES .. model
local present = tonumber(redis.call('HGET', key, 'generation') or 0)
if present ~= tonumber(generation) - 1 then return present end
redis.call('HSET', key, 'generation', generation)
if version == '' then
  redis.call('HDEL', key, 'alias:' .. alias)
else
  redis.call('HSET', key, 'alias:' .. alias, version)
end
if alias == 'champion' then redis.call('DEL', SHADOW_COUNTERS .. model) end -- they belong to one champion
redis.call('RPUSH', ALIAS_HISTORY .. model, move)
redis.call('SADD', UNEXPORTED, model)
redis.call('XADD', MOVES, 'MAXLEN', '~', 1000, '*', 'model', model)
return -1
