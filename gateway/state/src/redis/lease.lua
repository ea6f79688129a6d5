-- One exchange between a holder of leases and the store: what he holds is noted, and what is free is lent to him.
-- Runs alone and whole, as all scripts of Redis do. `shared/model.rs` says the same in Rust; a test holds them together.
--
-- The hash has a field `=` (level, microsecond up to which it was refilled, the most, microsecond until which nothing
-- is lent) and one for each holder (his newest number, drawn, settled, microsecond at which his lease ends, microsecond
-- until which he wants more than he got).
local holder = ARGV[1]
local n = {}
for i = 2, 13 do n[i] = tonumber(ARGV[i]) end
local seq, drawn, settled, acked = n[2], n[3], n[4], n[5]
local least, need, like = n[6], n[7], n[8]
local most, every, till, hold, now = n[9], n[10], n[11], n[12], n[13]
if now == 0 then
    local time = redis.call('TIME')
    now = time[1] * 1000000 + time[2]
end

local level, at, quiet = most, now, 0
local mine, others, wanted = nil, 0, 0
local fields = redis.call('HGETALL', KEYS[1])
for i = 1, #fields, 2 do
    local v = {}
    for part in string.gmatch(fields[i + 1], '%S+') do v[#v + 1] = tonumber(part) end
    if fields[i] == '=' then
        level, at, quiet = v[1] + most - v[3], v[2], v[4]
    elseif fields[i] == holder then
        mine = v
    elseif every > 0 and v[4] <= now then
        redis.call('HDEL', KEYS[1], fields[i])
    else
        others = others + math.max(0, v[2] - v[3])
        if v[5] > now then wanted = 1 end
    end
end

-- An older exchange that arrives behind a newer one says nothing any more.
if mine and seq <= mine[1] then return { 0, 0, level, 0, 0, now } end
-- The span is over: nothing is lent of it.
if till > 0 and now >= till * 1000 then return { 2, 0, 0, 0, 0, now } end

local base = 0
if mine and not (every > 0 and mine[4] <= now) then
    base = mine[2]
elseif every > 0 then
    base = acked
elseif drawn > 0 then
    -- The store forgot what was drawn of a budget. Others may have drawn too: they say so before anything is lent.
    quiet = now + 1000000
end
level = level - (drawn - base)

if every > 0 then
    level = math.max(level, -most)
    local gained = math.floor(math.max(0, now - at) * most / every)
    if gained > 0 then
        level = level + gained
        at = at + math.ceil(gained * every / most)
    end
    -- What is lent and not used up leaves no room to refill.
    local cap = most - others - math.max(0, drawn - settled)
    if level >= cap then level, at = cap, math.max(at, now) end
end

local granted, wait = 0, 0
if now < quiet then
    wait = quiet - now
elseif level >= least then
    granted = math.min(level, math.max(need, math.min(like, math.floor(level / 4))))
elseif every > 0 then
    wait = math.ceil((least - level) * every / most)
else
    wait = till * 1000 - now
end
level = level - granted

local function say(...)
    local words = {}
    for i, x in ipairs({ ... }) do words[i] = string.format('%.0f', x) end
    return table.concat(words, ' ')
end
local unmet = 0
if granted < need then unmet = now + 2000000 end
redis.call('HSET', KEYS[1], '=', say(level, at, most, quiet),
    holder, say(seq, drawn + granted, settled, now + hold * 1000, unmet))
local life = till + 3600000 - math.floor(now / 1000)
if every > 0 then life = math.ceil(3 * every / 1000) + hold end
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', life))
return { 1, granted, level, wait, wanted, now }
