"""Runs a program that is told to end when the supervisor dies, however it dies.

    python -I -S leash.py SUPERVISOR_PID PROGRAM [ARGUMENT...]

Linux sends the signal asked for with PR_SET_PDEATHSIG when the parent (precisely: the thread that
forked, the supervisor's main thread) ends, `kill -9` included, and keeps the request over exec.
This small program, not a `preexec_fn`, makes it: no Python code then runs between fork and exec in
a process that has gRPC's threads. It costs some 15 ms a start. SIGTERM, not SIGKILL: mongod then
shuts down cleanly and workers drain. Elsewhere than on Linux it only runs the program; the next run
then finds what was left (see datadir.py).
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    supervisor, argv = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
        if os.getppid() != supervisor:  # it died before the request was made
            sys.exit(1)
    try:
        os.execv(argv[0], argv)  # noqa: S606 - no shell is wanted
    except OSError as error:
        sys.exit(f"{argv[0]} cannot be run: {error.strerror}")


if __name__ == "__main__":
    main()
