-- Writes one record of a backup. A key that exists stays, except that sets are joined. Answers 0 when it stayed.
local key, kind, expires_ms = unpack(ARGV, 1, 3)

local exists = redis.call('EXISTS', key) == 1
if exists and kind ~= 'set' and kind ~= 'zset' then return 0 end
local command = ({string = 'SET', hash = 'HSET', list = 'RPUSH', set = 'SADD'})[kind]
for first = 4, #ARGV, 1000 do -- Lua's stack holds no more than some thousand values
  local last = math.min(first + 999, #ARGV)
  if kind == 'zset' then
    redis.call('ZADD', key, 'NX', unpack(ARGV, first, last))
  else
    redis.call(command, key, unpack(ARGV, first, last))
  end
end
if expires_ms ~= '' and not exists then redis.call('PEXPIREAT', key, expires_ms) end
return 1
