"""The supervisor behind `python -m server run`: starts, watches and stops all of Finlink's pieces.

run.py           composition: what starts when, what stops when
piece.py         one supervised process: start, ready, watch, start again, stop
restarts.py      whether and when a piece that died is started again
supervisor.py    a set of pieces, and the first of them that gave up
pieces.py        what the sandbox, the workers and Envoy are started with
mongod.py        the same for the embedded mongod, and its replica set of one
envoy_config.py  envoy.yaml with this run's ports and endpoints
drain.py         Envoy takes no new requests and finishes those it has
datadir.py       the data folder: lock, key, run.json, what a killed run left behind
preflight.py     ports and MONGODB_URI, looked at before anything is started
programs.py      where mongod and Envoy are
probes.py        does a port, an HTTP path, a worker answer
leash.py         runs a program that ends when the supervisor does
"""
