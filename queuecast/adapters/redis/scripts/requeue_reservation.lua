#!lua flags=allow-oom
-- Moves a reserved job to the end of its lane, if it is held under this entry. Answers 1 when the caller must ring.
-- needs lane.lua
local lane, entry, id = unpack(ARGV)

local job = redis.call('HMGET', JOB .. id, 'entry', 'state')
if job[1] == entry and job[2] == 'queued' then
  leave(id)
  return enter(id, lane)
end
if job[1] ~= entry then remove_entry(lane, entry) end
return 0
