-- Puts chunks into a lane, except those that are waiting or running. Answers 1 when the caller must ring.
-- needs lane.lua
local lane, final_states = unpack(ARGV, 1, 2)

local must_ring = 0
for at = 3, #ARGV, 3 do
  local id, record, work = unpack(ARGV, at, at + 2)
  local key = JOB .. id
  local state = redis.call('HGET', key, 'state')
  -- A chunk that ended and is asked for again has no part on the disk, so it runs again.
  if not state or string.find(final_states, ' ' .. state .. ' ', 1, true) then
    redis.call('DEL', key)
    redis.call('HSET', key, 'revision', 1, 'state', 'queued', 'record', record, 'work', work, 'rows', '')
    if enter(id, lane) == 1 then must_ring = 1 end
  end
end
return must_ring
