-- For wrk: a check-in as a container sends it.
wrk.method = "POST"
wrk.body = "active-connections=1"
wrk.headers["Content-Type"] = "application/x-www-form-urlencoded"
