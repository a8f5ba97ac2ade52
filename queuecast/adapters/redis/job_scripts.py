"""What the job store does in Redis at once: accept a job, write its next revision, delete it, put it back in its lane.

The scripts compare and write; the rules are in `queuecast.domain.job`, the keys in `queuecast.adapters.redis.jobs`.
"""

from queuecast.adapters.redis.lane_scripts import ALLOW_OOM, LANE_FUNCTIONS

# Ids are pruned from the index two at a time as new ones come in: records end by their own TTL.
# No flag allows this script when memory is used up: its first write, which takes memory, fails then, and nothing is
# written. (After a write that takes none the others would go through.)
CREATE = (
    LANE_FUNCTIONS
    + """
local id, lane, training, letter = ARGV[1], ARGV[7], ARGV[9], ARGV[13]
local repeated = 'qc:idempotency:' .. ARGV[10]
if ARGV[10] ~= '' then
  local earlier = redis.call('HMGET', repeated, 'job', 'fingerprint')
  if earlier[1] then return {earlier[2] == ARGV[11] and 'repeated' or 'reused', earlier[1], 0} end
end
if training ~= '' then
  local holder = redis.call('GET', 'qc:training:' .. training)
  if holder then return {'training', holder, 0} end
end
if ARGV[16] ~= '' then
  local version = redis.call('HGET', 'qc:aliases:' .. ARGV[16], 'alias:' .. ARGV[17])
  if version ~= ARGV[18] then return {'moved', version or 'none', 0} end
end
local length = redis.call('XLEN', 'qc:lane:' .. lane)
if length >= tonumber(ARGV[8]) then return {'full', tostring(length), 0} end
if letter ~= '' and not redis.call('ZSCORE', 'qc:dead', letter) then return {'letter', letter, 0} end
local must_ring = enter(id, lane, ARGV[15], #ARGV[6], 'revision', ARGV[2], 'state', ARGV[3], 'record', ARGV[4],
  'work', ARGV[5], 'rows', ARGV[6], 'n_rows', ARGV[15])
if training ~= '' then redis.call('SET', 'qc:training:' .. training, id) end
if ARGV[10] ~= '' then
  redis.call('HSET', repeated, 'job', id, 'fingerprint', ARGV[11])
  redis.call('EXPIRE', repeated, ARGV[12])
end
if letter ~= '' then redis.call('ZREM', 'qc:dead', letter) end
if ARGV[14] ~= '' then redis.call('ZADD', 'qc:expiring', ARGV[14], id) end
for _, old in ipairs(redis.call('ZRANGE', 'qc:jobs', 0, 1)) do
  if redis.call('EXISTS', 'qc:job:' .. old) == 1 then break end
  redis.call('ZREM', 'qc:jobs', old)
end
redis.call('ZADD', 'qc:jobs', 0, id)
return {'', id, must_ring}
"""
)

# Writes the next revisions of several jobs, none else between, and tells the listeners of all at once (with a + before
# those that go on). Each has 14
# arguments, which `_fields` in `queuecast.adapters.redis.jobs` lists.
REPLACE = (
    ALLOW_OOM
    + LANE_FUNCTIONS
    + """
local function replace_one(at)
  local id, revision, state, entry = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 10]
  local key, delete_at, ring = 'qc:job:' .. id, ARGV[at + 7], 0
  local present = redis.call('HMGET', key, 'revision', 'entry', 'lane')
  if not present[1] then return {'unknown', 0} end
  if entry ~= '' and present[2] ~= entry then return {'taken', 0} end
  if tonumber(present[1]) ~= tonumber(revision) - 1 then return {present[1], 0} end
  local result = ARGV[at + 4] ~= '' and {'result', ARGV[at + 4]} or {}
  redis.call('HSET', key, 'revision', revision, 'state', state, 'record', ARGV[at + 3], 'attempt', ARGV[at + 11],
    unpack(result))
  if state == 'running' then
    if ARGV[at + 12] == '1' then redis.call('ZREM', 'qc:expiring', id) end
    if ARGV[at + 13] == '1' then leave(id) end
  elseif state == 'queued' then
    leave(id)
    if ARGV[at + 6] ~= '' then redis.call('ZADD', 'qc:delayed', ARGV[at + 6], id)
    else ring = enter(id, present[3]) end
  elseif delete_at ~= '' then
    if present[2] then take_out(present[3], present[2]) else redis.call('ZREM', 'qc:delayed', id) end
    if ARGV[at + 12] == '1' then redis.call('ZREM', 'qc:expiring', id) end
    local model = ARGV[at + 5]
    local lock = 'qc:training:' .. model
    if model ~= '' and redis.call('GET', lock) == id then redis.call('DEL', lock) end
    if state == 'succeeded' then redis.call('HDEL', key, 'entry', 'work', 'rows')
    else redis.call('HDEL', key, 'entry') end
    if ARGV[at + 9] == '1' then redis.call('ZADD', 'qc:dead', delete_at, id) end
    redis.call('EXPIREAT', key, delete_at)
    redis.call('SET', 'qc:gone:' .. id, '', 'EXAT', ARGV[at + 8])
  end
  return {'', ring}
end
local answers, written = {}, {}
for at = 1, #ARGV, 14 do
  local answer = replace_one(at)
  answers[#answers + 1] = answer
  if answer[1] == '' then written[#written + 1] = (ARGV[at + 7] == '' and '+' or '') .. ARGV[at] end
end
if #written > 0 then redis.call('PUBLISH', 'qc:changes', table.concat(written, ' ')) end
return answers
"""
)

READ_RESULTS = """
local found = {}
for i, id in ipairs(ARGV) do found[i] = redis.call('HMGET', 'qc:job:' .. id, 'record', 'result') end
return found
"""

# Answers with the last id that it looked at, if more may follow, and how many were past.
TIDY = """
local ids = redis.call('ZRANGEBYLEX', 'qc:jobs', ARGV[1], '+', 'LIMIT', 0, ARGV[2])
local past = 0
for _, id in ipairs(ids) do
  if redis.call('EXISTS', 'qc:job:' .. id) == 0 then past = past + redis.call('ZREM', 'qc:jobs', id) end
end
return {#ids == tonumber(ARGV[2]) and ids[#ids] or '', past}
"""

DELETE = """
local key = 'qc:job:' .. ARGV[1]
local state = redis.call('HGET', key, 'state')
if not state then return 'unknown' end
if not string.find(ARGV[2], ' ' .. state .. ' ', 1, true) then return state end
redis.call('DEL', key)
redis.call('ZREM', 'qc:jobs', ARGV[1])
redis.call('ZREM', 'qc:dead', ARGV[1])
return ''
"""


# For a store that was filled from a backup, which has the records and not the lanes.
REQUEUE = (
    ALLOW_OOM
    + LANE_FUNCTIONS
    + """
local key = 'qc:job:' .. ARGV[1]
local job = redis.call('HMGET', key, 'state', 'lane', 'entry')
if job[1] ~= 'queued' or redis.call('ZSCORE', 'qc:delayed', ARGV[1]) then return 0 end
if job[3] and #redis.call('XRANGE', 'qc:lane:' .. job[2], job[3], job[3]) == 1 then return 0 end
enter(ARGV[1], job[2])
return 1
"""
)
