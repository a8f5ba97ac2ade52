#!lua flags=allow-oom
-- Takes or keeps the leadership. Answers 0 while another process has it.
-- allow-oom: the leader repairs jobs that were accepted, which must go on when memory is used up.
local key, process, term_ms = unpack(ARGV)

local holder = redis.call('GET', key)
if holder and holder ~= process then return 0 end
redis.call('SET', key, process, 'PX', term_ms)
return 1
