#!lua flags=allow-oom
-- Writes the next revisions of jobs and announces all of them in one message. Answers {reason of a refusal or '',
-- must ring} for each job; the reason is the stored revision when it is not the one before.
-- needs lane.lua

-- allow-oom: a job must be able to end when memory is used up, or none would ever be freed.
local function replace(at)
  local id, revision, state, record, result, training, not_before, delete_at, gone_until, is_dead_letter, entry,
    attempt, has_deadline, is_fanned_out = unpack(ARGV, at, at + 13)
  local key, must_ring = JOB .. id, 0
  local present = redis.call('HMGET', key, 'revision', 'entry', 'lane')
  if not present[1] then return {'unknown', 0} end
  if entry ~= '' and present[2] ~= entry then return {'taken', 0} end
  if tonumber(present[1]) ~= tonumber(revision) - 1 then return {present[1], 0} end
  local more = result ~= '' and {'result', result} or {}
  redis.call('HSET', key, 'revision', revision, 'state', state, 'record', record, 'attempt', attempt, unpack(more))
  if state == 'running' then
    if has_deadline == '1' then redis.call('ZREM', EXPIRING, id) end
    if is_fanned_out == '1' then leave(id) end
  elseif state == 'queued' then
    leave(id)
    if not_before ~= '' then
      redis.call('ZADD', DELAYED, not_before, id)
    else
      must_ring = enter(id, present[3])
    end
  elseif delete_at ~= '' then
    if present[2] then remove_entry(present[3], present[2]) else redis.call('ZREM', DELAYED, id) end
    if has_deadline == '1' then redis.call('ZREM', EXPIRING, id) end
    if training ~= '' and redis.call('GET', TRAINING .. training) == id then
      redis.call('DEL', TRAINING .. training)
    end
    if state == 'succeeded' then
      redis.call('HDEL', key, 'entry', 'work', 'rows')
    else
      redis.call('HDEL', key, 'entry')
    end
    if is_dead_letter == '1' then redis.call('ZADD', DEAD, delete_at, id) end
    redis.call('EXPIREAT', key, delete_at)
    redis.call('SET', GONE .. id, '', 'EXAT', gone_until)
  end
  return {'', must_ring}, (delete_at == '' and '+' or '') .. id
end

local answers, changes = {}, {}
for at = 1, #ARGV, 14 do
  answers[#answers + 1], changes[#changes + 1] = replace(at)
end
if #changes > 0 then redis.call('PUBLISH', CHANGES, table.concat(changes, ' ')) end
return answers
