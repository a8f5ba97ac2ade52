-- Writes a new job and puts it in its lane, or refuses it. Answers {reason of a refusal or '', detail, must ring}.
-- needs lane.lua

-- Without allow-oom: the first write takes memory, so a Redis that is full refuses it and nothing is written.
local id, revision, state, record, work, rows, n_rows, lane, max_lane_jobs, training, idempotency_key, fingerprint,
  idempotency_ttl_s, replayed_dead_letter, expires_at, model, checks_alias, alias, version = unpack(ARGV)

local earlier_key = IDEMPOTENCY .. idempotency_key
if idempotency_key ~= '' then
  local earlier = redis.call('HMGET', earlier_key, 'job', 'fingerprint')
  if earlier[1] then return {earlier[2] == fingerprint and 'repeated' or 'reused', earlier[1], 0} end
end
if training ~= '' then
  local holder = redis.call('GET', TRAINING .. training)
  if holder then return {'training', holder, 0} end
end
if version ~= '' then
  local present = redis.call('HMGET', ALIASES .. model, 'deleted:' .. version, 'alias:' .. alias)
  if checks_alias == '1' and present[2] ~= version then return {'moved', present[2] or 'none', 0} end
  if present[1] then return {'deleted', version, 0} end
end
local length = redis.call('XLEN', LANE .. lane)
if length >= tonumber(max_lane_jobs) then return {'full', tostring(length), 0} end
if replayed_dead_letter ~= '' and not redis.call('ZSCORE', DEAD, replayed_dead_letter) then
  return {'replayed', replayed_dead_letter, 0}
end

local must_ring = enter(id, lane, n_rows, #rows, 'revision', revision, 'state', state, 'record', record,
  'work', work, 'rows', rows, 'n_rows', n_rows)
if training ~= '' then redis.call('SET', TRAINING .. training, id) end
if idempotency_key ~= '' then
  redis.call('HSET', earlier_key, 'job', id, 'fingerprint', fingerprint)
  redis.call('EXPIRE', earlier_key, idempotency_ttl_s)
end
if replayed_dead_letter ~= '' then redis.call('ZREM', DEAD, replayed_dead_letter) end
if expires_at ~= '' then redis.call('ZADD', EXPIRING, expires_at, id) end
-- Records expire by their own TTL, and the index does not notice: each submit removes up to two ids of expired ones.
for _, old in ipairs(redis.call('ZRANGE', JOBS, 0, 1)) do
  if redis.call('EXISTS', JOB .. old) == 1 then break end
  redis.call('ZREM', JOBS, old)
end
if string.sub(id, 1, 7) ~= 'shadow_' then redis.call('ZADD', JOBS, 0, id) end -- a shadow's job is in no listing
return {'', id, must_ring}
