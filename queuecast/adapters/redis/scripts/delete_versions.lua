#!lua flags=allow-oom
-- Deletes a version of a model, or all of its versions up to one with all of its aliases, unless a job that has not ended
-- needs it. Answers {reason of a refusal or '', a number for it, ids of the first jobs}.
-- allow-oom: it makes room.
local model, generation, version, is_whole_model, made_by, move, final_states = unpack(ARGV)

local key, is_whole = ALIASES .. model, is_whole_model == '1'
local present = tonumber(redis.call('HGET', key, 'generation') or 0)
if present ~= tonumber(generation) - 1 then return {'moved', present, {}} end

local count, first, seen = 0, {}, {}
local function add(id, jobs)
  count = count + jobs
  if id and #first < 5 then first[#first + 1] = id end
end

local function needs(id)
  local job = redis.call('HMGET', JOB .. id, 'state', 'record')
  if not job[1] or string.find(final_states, ' ' .. job[1] .. ' ', 1, true) then return false end
  if id == made_by then return true end
  if not string.find(job[2], '"name":"' .. model .. '"', 1, true) then return false end -- decoding takes much longer
  local is_read, record = pcall(cjson.decode, job[2])
  if not is_read then return true end
  return record.model.name == model and (is_whole or record.model.version == tonumber(version))
end

local function add_if_needed(id)
  local is_chunk = string.sub(id, 1, 6) == 'chunk_' -- its batch counts
  if not seen[id] and not is_chunk and needs(id) then add(id, 1) end
  seen[id] = true
end

-- A job that has not ended is in its lane, or waits for its next attempt, or is a batch whose chunks are running.
local predictions = 'prediction/' .. model .. '/' .. (is_whole and '' or version .. '/')
for _, lane in ipairs(redis.call('SMEMBERS', LANES)) do
  local kind = string.match(lane, '^[^/]+')
  if string.sub(lane, 1, #predictions) == predictions then
    if string.sub(lane, -4) == '/low' then -- a shadow's jobs do not keep its version
      for _, entry in ipairs(redis.call('XRANGE', LANE .. lane, '-', '+')) do
        if string.sub(entry[2][2], 1, 7) ~= 'shadow_' then add(entry[2][2], 1) end
      end
    else
      add(nil, redis.call('XLEN', LANE .. lane))
      for _, entry in ipairs(redis.call('XRANGE', LANE .. lane, '-', '+', 'COUNT', 5)) do add(entry[2][2], 0) end
    end
  elseif kind ~= 'prediction' and kind ~= 'chunk' then
    for _, entry in ipairs(redis.call('XRANGE', LANE .. lane, '-', '+')) do add_if_needed(entry[2][2]) end
  end
end
for _, id in ipairs(redis.call('ZRANGE', DELAYED, 0, -1)) do add_if_needed(id) end
for _, id in ipairs(redis.call('HKEYS', BATCHES)) do add_if_needed(id) end
if count > 0 then return {'needed', count, first} end

redis.call('HSET', key, 'generation', generation)
if is_whole then
  redis.call('DEL', SHADOW .. model, SHADOW_COUNTERS .. model)
  for _, field in ipairs(redis.call('HKEYS', key)) do
    if string.sub(field, 1, 6) == 'alias:' then redis.call('HDEL', key, field) end
  end
end
for number = is_whole and 1 or tonumber(version), tonumber(version) do
  redis.call('DEL', OUTCOME_ROWS .. model .. ':' .. number)
  redis.call('HSET', key, 'deleted:' .. number, 1)
end
redis.call('RPUSH', ALIAS_HISTORY .. model, move)
redis.call('SADD', UNEXPORTED, model)
redis.call('XADD', MOVES, 'MAXLEN', '~', 1000, '*', 'model', model)
return {'', 0, {}}
