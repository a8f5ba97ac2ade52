#!lua flags=allow-oom
-- Renews the leases of entries. Answers each job's state, '' for an entry that the worker no longer holds.
local states = {}
for at = 1, #ARGV, 4 do
  local lane, entry, id, worker = unpack(ARGV, at, at + 3)
  -- XCLAIM with JUSTID resets how long the entry has been idle; it returns nothing for an entry that was removed.
  local claimed = redis.pcall('XCLAIM', LANE .. lane, 'workers', worker, 0, entry, 'JUSTID')
  local is_held = not claimed.err and #claimed == 1
  states[#states + 1] = is_held and redis.call('HGET', JOB .. id, 'state') or ''
end
return states
