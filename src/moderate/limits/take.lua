-- One decision over all budgets of a request: spends one from each, or from none.
--
-- KEYS     one per budget; each holds the moment, in microseconds, at which that budget is full again
-- ARGV[1]  per budget two doubles, big-endian: what one event costs and the whole budget, in microseconds
-- ARGV[2]  "look" to spend nothing whatever the answer
-- returns  "wait debt debt ...": microseconds to wait (0: passed), then the debt of each budget after the decision
--
-- The clock is the server's own, so that all processes and hosts agree. All numbers stay below 2^53 and
-- are therefore exact. Only commands of Redis 6.2 are used. Arguments and answer are one text each, because
-- the client pays more for every further value than the server does for reading them.

local call = redis.call
local time = call('TIME')
local now = time[1] * 1000000 + time[2]
local wait = 0
local costs, debts = {}, {}

for i, full_at in ipairs(call('MGET', unpack(KEYS))) do
  local cost, most = struct.unpack('>dd', ARGV[1], 16 * i - 15)
  local debt = (full_at or now) - now
  if debt < 0 then
    debt = 0
  elseif debt > most then
    -- A clock that was set back, or a rate that was made stricter: nobody waits for more than a whole budget.
    debt = most
  end
  if debt + cost - most > wait then
    wait = debt + cost - most
  end
  costs[i], debts[i] = cost, debt
end

if wait == 0 and ARGV[2] ~= 'look' then
  for i, key in ipairs(KEYS) do
    local debt = debts[i] + costs[i]
    -- A budget that is full again needs no key, so each key goes by itself then (in whole seconds, rounded up).
    call('SET', key, string.format('%.0f', now + debt), 'EX', math.ceil(debt / 1000000))
    debts[i] = debt
  end
end

return wait .. ' ' .. table.concat(debts, ' ')
