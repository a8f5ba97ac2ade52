-- Removes ids without a record from the next part of the index. Answers {last id if more may follow or '', how many}.
local first, limit = unpack(ARGV)

local ids = redis.call('ZRANGEBYLEX', JOBS, first, '+', 'LIMIT', 0, limit)
local removed = 0
for _, id in ipairs(ids) do
  if redis.call('EXISTS', JOB .. id) == 0 then removed = removed + redis.call('ZREM', JOBS, id) end
end
return {#ids == tonumber(limit) and ids[#ids] or '', removed}
