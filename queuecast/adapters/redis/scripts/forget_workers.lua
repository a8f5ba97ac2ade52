-- Removes consumers that hold nothing and have been idle for longer than this, and attendants that died.
-- needs lane.lua
local silent_ms = unpack(ARGV)
silent_ms = tonumber(silent_ms)

for _, lane in ipairs(redis.call('SMEMBERS', LANES)) do
  local key = LANE .. lane
  local consumers = redis.call('EXISTS', key) == 1 and redis.call('XINFO', 'CONSUMERS', key, 'workers') or {}
  for _, fields in ipairs(consumers) do
    local consumer = {}
    for i = 1, #fields, 2 do consumer[fields[i]] = fields[i + 1] end
    -- Redis drops the entries of a consumer with it, so the check and the deletion are one step.
    if consumer.pending == 0 and consumer.idle > silent_ms then
      redis.call('XGROUP', 'DELCONSUMER', key, 'workers', consumer.name)
    end
  end
end
for _, lane in ipairs(redis.call('HKEYS', ATTENDED)) do
  local _, since = attendant_of(lane)
  if now_ms() - since > silent_ms then redis.call('HDEL', ATTENDED, lane) end
end
for _, lane in ipairs(redis.call('HKEYS', LINGERING)) do
  if redis.call('HEXISTS', ATTENDED, lane) == 0 then redis.call('HDEL', LINGERING, lane) end
end
