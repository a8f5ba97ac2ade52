-- All lanes with jobs, in one step, because jobs move between two. Answers {lane, waiting, reserved, first entry or
-- false, since when a worker is expected in ms or false} for each.
-- needs lane.lua
local attendant_gone_ms = unpack(ARGV)

local function worker_expected_since(lane)
  local _, since = attendant_of(lane)
  local is_attended = since and now_ms() - since < tonumber(attendant_gone_ms)
  return redis.call('HGET', BELLS, lane) or (is_attended and since) or false
end

local lanes, stats = redis.call('SMEMBERS', LANES), {}
table.sort(lanes)
for _, lane in ipairs(lanes) do
  local key = LANE .. lane
  if redis.call('EXISTS', key) == 1 then
    local reserved = redis.call('XPENDING', key, 'workers')[1]
    local oldest = waiting_entries(key, 1)[1]
    local waiting = redis.call('XLEN', key) - reserved
    stats[#stats + 1] = {lane, waiting, reserved, oldest and oldest[1] or false, worker_expected_since(lane)}
  end
end
return stats
