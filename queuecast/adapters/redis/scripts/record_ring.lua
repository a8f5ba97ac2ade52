#!lua flags=allow-oom
-- Records that a lane is rung for now, if it has jobs.
-- needs lane.lua
local lane = unpack(ARGV)

redis.call('HDEL', ATTENDED, lane) -- the attendant is late or dead
if redis.call('EXISTS', LANE .. lane) == 1 then redis.call('HSET', BELLS, lane, now_ms()) end
