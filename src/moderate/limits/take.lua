-- One decision over all budgets of a request: spends one from each, or from none.
--
-- KEYS   one per budget; each holds the moment, in microseconds, at which that budget is full again
-- ARGV   1 to spend or 0 to look, then per budget: the cost of one event in microseconds, the capacity
-- returns  the microseconds to wait (0 or less: passed), then the debt of each budget after the decision
--
-- The clock is the server's own, so that all processes and hosts agree. All numbers stay below 2^53 and
-- are therefore exact. Only commands of Redis 6.2 are used.

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local full_at = redis.call('MGET', unpack(KEYS))
local wait = 0
local debts = {}

for i = 1, #KEYS do
  local interval = tonumber(ARGV[2 * i])
  local most = interval * ARGV[2 * i + 1]
  local debt = (tonumber(full_at[i]) or 0) - now
  if debt < 0 then
    debt = 0
  elseif debt > most then
    -- A clock that was set back, or a rate that was made smaller: nobody waits longer than one full budget.
    debt = most
  end
  debts[i] = debt
  if debt + interval - most > wait then
    wait = debt + interval - most
  end
end

if wait <= 0 and ARGV[1] == '1' then
  for i = 1, #KEYS do
    debts[i] = debts[i] + ARGV[2 * i]
    -- The key goes by itself once the budget is full; whole milliseconds are rounded up, never down.
    redis.call('SET', KEYS[i], string.format('%.0f', now + debts[i]), 'PX', string.format('%.0f', math.ceil(debts[i] / 1000)))
  end
end

table.insert(debts, 1, wait)
return debts
