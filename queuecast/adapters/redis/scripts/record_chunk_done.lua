#!lua flags=allow-oom
-- Records a chunk as done, once. Answers {chunks, rows, bad rows} done so far.
local batch_id, plan, index, rows, bad_rows, ttl_s = unpack(ARGV)

local key = BATCH .. batch_id .. ':' .. plan
if redis.call('HSETNX', key, index, rows .. ':' .. bad_rows) == 1 then
  redis.call('HINCRBY', key, 'rows', rows)
  redis.call('HINCRBY', key, 'bad', bad_rows)
end
redis.call('EXPIRE', key, ttl_s)
local sums = redis.call('HMGET', key, 'rows', 'bad')
return {redis.call('HLEN', key) - 2, tonumber(sums[1]), tonumber(sums[2])}
