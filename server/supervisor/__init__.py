"""The supervisor behind `python -m server run`: starts, watches and stops all processes of Finlink.

run.py                  the order in which processes are started and stopped
process.py              one supervised process: start, readiness, restart, stop
restarts.py             whether and when a process that ended is started again
supervisor.py           several processes, and the first of them that failed for good
specs.py                how the sandbox, the workers and Envoy are started
mongod.py               the same for the embedded mongod, and its replica set of one
edge.py                 Envoy alone, for servers on other hosts (`python -m server edge`)
datadir.py              the data folder: lock, key, run.json, processes that a killed run left behind
preflight.py            checks of ports and MONGODB_URI before anything is started
parent_death_signal.py  runs a program that ends with the supervisor
console.py              the output of `run`
"""
