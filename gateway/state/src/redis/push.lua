-- Writes fresh features of one entity, unless somebody wrote since the time that was read.
-- KEYS[1]: the entity's hash. ARGV: the field of the time, the time that was read ("" for none), then fields and values.
-- Gives 1 where it wrote, else 0.
local known = redis.call('HGET', KEYS[1], ARGV[1])
if (known or '') ~= ARGV[2] then
  return 0
end
redis.call('HSET', KEYS[1], unpack(ARGV, 3))
return 1
