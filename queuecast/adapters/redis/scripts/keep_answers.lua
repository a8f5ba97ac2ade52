-- Keeps the answers of a shadow with the jobs that it answered again. Each item is a job and its answer.
local field = unpack(ARGV, 1, 1)

for at = 2, #ARGV, 2 do
  local job, answer = unpack(ARGV, at, at + 1)
  if redis.call('EXISTS', JOB .. job) == 1 then redis.call('HSET', JOB .. job, field, answer) end
end
return 1
