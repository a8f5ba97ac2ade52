-- Removes a training lock whose job has ended: it did so after the backup had read the lock and before it read the
-- job, and nothing else would ever remove the lock.
local lock, final_states = unpack(ARGV)

local id = redis.call('GET', lock)
local state = id and redis.call('HGET', JOB .. id, 'state')
if id and (not state or string.find(final_states, ' ' .. state .. ' ', 1, true)) then redis.call('DEL', lock) end
