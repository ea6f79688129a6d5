-- One round of a replica on a rollout that many run: who leads is settled, what the replica saw is noted, and all that is
-- known is told. Runs alone and whole, as all scripts of Redis do.
--
-- The hash has the fields `course` (a text), `version` (of the course), `leader` (a name), `until` (the millisecond at
-- which his lead ends) and `seen:NAME` of each replica.
local name, hold, seen = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local leader = redis.call('HGET', KEYS[1], 'leader')
local till = tonumber(redis.call('HGET', KEYS[1], 'until') or '0')
if not leader or leader == name or till <= now then
    leader, till = name, now + hold
    redis.call('HSET', KEYS[1], 'leader', leader, 'until', string.format('%.0f', till))
end
if seen ~= '' then redis.call('HSET', KEYS[1], 'seen:' .. name, seen) end
redis.call('EXPIRE', KEYS[1], 2592000)
return redis.call('HGETALL', KEYS[1])
