-- Gives up the leadership, if this process has it.
local key, process = unpack(ARGV)

if redis.call('GET', key) == process then redis.call('DEL', key) end
