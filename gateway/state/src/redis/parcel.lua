-- One round of a replica at a queue of parcels: who leads is settled, the leader's new state takes the place of the one
-- before together with the parcels that are in it, what is handed over is put into the queue, and what is new is told. Runs
-- alone and whole, as all scripts of Redis do.
--
-- The hash KEYS[1] has the fields `leader` (a name), `until` (the millisecond at which his lead ends), `state` and `text`
-- (of it), `bytes` (of the queue), and of each post (1, 2) `name:N` and `post:N`. KEYS[2] is the queue.
local a = 0
local function arg() a = a + 1 return ARGV[a] end
local name, hold, leaves = arg(), tonumber(arg()), arg()
local most, many, much, keep = tonumber(arg()), tonumber(arg()), tonumber(arg()), tonumber(arg())
local mine, taken = arg(), tonumber(arg())
local known = { arg(), arg() }
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local leader = redis.call('HGET', KEYS[1], 'leader') or ''
local till = tonumber(redis.call('HGET', KEYS[1], 'until') or '0')
if leader == '' or leader == name or till <= now then
    leader = name
    redis.call('HSET', KEYS[1], 'leader', leader, 'until', string.format('%.0f', now + hold))
end

-- A state that was stowed before, by a question whose answer was lost, is not stowed again, but counts.
local bytes = tonumber(redis.call('HGET', KEYS[1], 'bytes') or '0')
local state = redis.call('HGET', KEYS[1], 'state') or ''
local stow = arg()
if stow ~= '' then
    local text, count, posts = arg(), tonumber(arg()), tonumber(arg())
    local may = leader == name and state == mine and state ~= stow
    if may then
        redis.call('HSET', KEYS[1], 'state', stow, 'text', text)
        for _ = 1, count do
            local gone = redis.call('LPOP', KEYS[2])
            if gone then bytes = bytes - #gone end
        end
        state = stow
    end
    for _ = 1, posts do
        local which, id, post = arg(), arg(), arg()
        if may then redis.call('HSET', KEYS[1], 'name:' .. which, id, 'post:' .. which, post) end
    end
    if state == stow then
        mine, taken = stow, taken - count
    end
end

local parcels = tonumber(arg())
local room, first = 0, a
for i = first + 1, first + parcels do room = room + #ARGV[i] end
local is_taken = parcels == 0 or bytes + room <= most
if is_taken then
    for i = first + 1, first + parcels do redis.call('RPUSH', KEYS[2], ARGV[i]) end
    bytes = bytes + room
end
if redis.call('EXISTS', KEYS[2]) == 0 then bytes = 0 end
redis.call('HSET', KEYS[1], 'bytes', string.format('%.0f', bytes))
redis.call('EXPIRE', KEYS[1], keep)
redis.call('EXPIRE', KEYS[2], keep)

local text, new, more = '', {}, 0
if leader == name then
    if state ~= mine then
        taken = 0
        text = redis.call('HGET', KEYS[1], 'text') or ''
    end
    local size = 0
    for _, one in ipairs(redis.call('LRANGE', KEYS[2], taken, taken + many - 1)) do
        if #new > 0 and size + #one > much then break end
        new[#new + 1], size = one, size + #one
    end
    more = redis.call('LLEN', KEYS[2]) - taken - #new
end
if leaves == '1' and leader == name then
    redis.call('HDEL', KEYS[1], 'leader', 'until')
    leader = ''
end
local answer = { leader, is_taken and '1' or '0', state, text, tostring(math.max(more, 0)) }
for i = 1, 2 do
    local id = redis.call('HGET', KEYS[1], 'name:' .. i) or ''
    if id == known[i] then
        answer[#answer + 1] = '0'
    else
        answer[#answer + 1] = '1'
        answer[#answer + 1] = id
        answer[#answer + 1] = redis.call('HGET', KEYS[1], 'post:' .. i) or ''
    end
end
for _, one in ipairs(new) do answer[#answer + 1] = one end
return answer
