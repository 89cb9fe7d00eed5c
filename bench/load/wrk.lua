-- Requests of one case, and the figures of a slice as one line of JSON.
--   wrk ... -s wrk.lua -- CASE USERS HOT SEED [sweep]
-- Draws are made ahead, so that a request costs wrk the same whatever the case is.

local DRAWS = 65536
local requests, sent, made = {}, 0, nil

local function hot_ids(users, hot)
  -- Ranks are spread over all users; those of a rank are drawn by Zipf's law with exponent 1.
  local sums, sum = {}, 0
  for rank = 1, hot do
    sum = sum + 1 / rank
    sums[rank] = sum
  end
  local step = math.max(1, math.floor(users / hot))
  return function()
    local wanted, low, high = math.random() * sum, 1, hot
    while low < high do
      local middle = math.floor((low + high) / 2)
      if sums[middle] < wanted then low = middle + 1 else high = middle end
    end
    return (low - 1) * step
  end
end

-- Reads of all kinds, for full load.
local function mixed(hot, users)
  return function()
    local dice = math.random(100)
    if dice <= 70 then return string.format("/api/v1/users/bench_%d", hot()) end
    if dice <= 80 then return string.format("/api/v1/users/bench_%d", math.random(0, users - 1)) end
    if dice <= 95 then return string.format("/api/v1/connectors/user/bench_%d", hot()) end
    return "/api/v1/users?limit=20"
  end
end

local function new_users(seed)
  local prefix, count = string.format("new_%d_", seed), 0
  wrk.headers["content-type"] = "application/json"
  return function()
    count = count + 1
    local id = prefix .. count
    return wrk.format("POST", "/api/v1/users", nil, '{"userId":"' .. id .. '","email":"' .. id
      .. '@example.com","firstName":"John","lastName":"Doe","phoneNumber":"+91-9876543210",'
      .. '"city":"Bangalore","country":"India"}')
  end
end

local PATHS = {
  ["hot-user"] = "/api/v1/users/bench_%d",
  ["uniform-user"] = "/api/v1/users/bench_%d",
  ["noop"] = "/api/v1/noop/bench_%d",
  ["connectors"] = "/api/v1/connectors/user/bench_%d",
}

function init(args)
  local case, users, hot, seed = args[1], tonumber(args[2]), tonumber(args[3]), tonumber(args[4])
  math.randomseed(seed)
  if case == "post-user" then
    made = new_users(seed)
    return
  end
  local draw = hot_ids(users, math.min(hot, users))
  if case == "uniform-user" then
    draw = function() return math.random(0, users - 1) end
  end
  if args[5] == "sweep" then
    local at, step = 0, math.max(1, math.floor(users / hot))
    draw = function()
      at = at + 1
      return at % hot * step
    end
  end
  local path = function() return string.format(PATHS[case], draw()) end
  if case == "mixed" then path = mixed(draw, users) end
  for i = 1, DRAWS do
    requests[i] = wrk.format("GET", path())
  end
end

function request()
  if made ~= nil then return made() end
  sent = sent % DRAWS + 1
  return requests[sent]
end

function done(summary, latency, _)
  local errors = summary.errors
  local percentiles = {}
  for i, p in ipairs({1, 5, 10, 25, 50, 75, 90, 95, 99, 99.9}) do
    percentiles[i] = string.format('"%g":%d', p, latency:percentile(p))
  end
  io.write(string.format(
    'SLICE {"requests":%d,"duration_us":%d,"failed":%d,"latency_us":{%s}}\n',
    summary.requests, summary.duration,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    table.concat(percentiles, ",")
  ))
end
