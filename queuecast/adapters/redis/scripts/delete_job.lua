-- Deletes a job that has ended. Answers '', 'unknown', or the state of a job that has not ended.
local id, final_states = unpack(ARGV)

local state = redis.call('HGET', JOB .. id, 'state')
if not state then return 'unknown' end
if not string.find(final_states, ' ' .. state .. ' ', 1, true) then return state end
redis.call('DEL', JOB .. id)
redis.call('ZREM', JOBS, id)
redis.call('ZREM', DEAD, id)
return ''
