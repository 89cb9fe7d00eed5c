"""The supervisor behind `python -m server run`: starts, watches and stops all of Finlink's pieces.

run.py           composition: what starts when, what stops when
piece.py         one supervised process: start, ready, watch, start again, stop
restarts.py      whether and when a piece that died is started again
supervisor.py    a set of pieces, and the first of them that gave up
pieces.py        what the sandbox, the workers and Envoy are started with
mongod.py        the same for the embedded mongod, and its replica set of one
envoy_config.py  envoy.yaml with this run's ports and endpoints
envoy_limits.py  what it lets callers do: rate limits, trusted proxies, CORS, memory
envoy_tls.py     HTTPS, and client certificates on the gRPC port
access_log.py    puts Envoy's access log aside when it is long
certificates.py  those given are checked; one is made for development
edge.py          Envoy alone, for servers on other hosts (`python -m server edge`)
drain.py         Envoy takes no new requests and finishes those it has
datadir.py       the data folder: lock, key, run.json, what a killed run left behind
preflight.py     ports and MONGODB_URI, looked at before anything is started
programs.py      where mongod and Envoy are
probes.py        does a port, an HTTP path, a worker answer
leash.py         runs a program that ends when the supervisor does
"""
