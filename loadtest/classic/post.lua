-- wrk: POST the file $BODY with the headers in $HEADERS ("name:value" lines), and print what happened as JSON.
local file = assert(io.open(os.getenv("BODY"), "rb"))
wrk.method, wrk.body = "POST", file:read("*a")
file:close()
for name, value in (os.getenv("HEADERS") or ""):gmatch("([^:\n]+):([^\n]*)") do wrk.headers[name] = value end
function done(all, latency, _)
  local e = all.errors
  io.write(string.format('JSON {"requests":%d,"us":%d,"faults":%d,"p50":%d,"p99":%d}\n', all.requests, all.duration,
    e.status + e.connect + e.read + e.write + e.timeout, latency:percentile(50), latency:percentile(99)))
end
