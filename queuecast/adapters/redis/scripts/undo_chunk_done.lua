-- Removes a chunk from those that are done.
local batch_id, plan, index = unpack(ARGV)

local key = BATCH .. batch_id .. ':' .. plan
local sizes = redis.call('HGET', key, index)
if not sizes then return 0 end
local rows, bad = string.match(sizes, '(%d+):(%d+)')
redis.call('HINCRBY', key, 'rows', -rows)
redis.call('HINCRBY', key, 'bad', -bad)
return redis.call('HDEL', key, index)
