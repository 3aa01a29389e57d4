-- For wrk: sends the bytes of $REQUEST_FILE as they are, and tells the outcome as one line of JSON.

function init()
    local file = assert(io.open(os.getenv("REQUEST_FILE"), "rb"))
    local bytes = file:read("*a")
    file:close()
    -- Not request(): wrk calls that once for every request, and the client would be the slower of the two.
    wrk.format = function() return bytes end
end

function done(summary, latency)
    local errors = summary.errors
    io.write(string.format(
        '{"requests": %d, "bytes": %d, "seconds": %.6f, "p50_us": %d, "p99_us": %d, "bad_status": %d, "bad_socket": %d}\n',
        summary.requests, summary.bytes, summary.duration / 1e6, latency:percentile(50), latency:percentile(99),
        errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
