-- A course is replaced by the next one, if nobody replaced it before: 1, else 0. See `course.lua` for the fields.
local before, after, course = ARGV[1], ARGV[2], ARGV[3]
if (redis.call('HGET', KEYS[1], 'version') or '0') ~= before then return 0 end
redis.call('HSET', KEYS[1], 'version', after, 'course', course)
redis.call('EXPIRE', KEYS[1], 2592000)
return 1
