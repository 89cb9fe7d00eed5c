"""Runs a program that gets SIGTERM when the supervisor ends, even if the supervisor is killed.

    python -I -S parent_death_signal.py SUPERVISOR_PID PROGRAM [ARGUMENT...]

Linux sends the signal set with PR_SET_PDEATHSIG when the parent (more precisely, the thread that forked:
the supervisor's main thread) ends, `kill -9` included. The setting outlives exec. It is made by this small
program and not by a `preexec_fn`, so that no Python code runs between fork and exec in a process that has
gRPC's threads. This costs about 15 ms a start. The signal is SIGTERM and not SIGKILL, so that mongod shuts
down cleanly and workers drain. On other systems this only runs the program; the next run then ends the
processes that are left (see datadir.py).
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    supervisor, argv = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
        if os.getppid() != supervisor:  # it ended before the signal was set
            sys.exit(1)
    try:
        os.execv(argv[0], argv)  # noqa: S606 - no shell is needed
    except OSError as error:
        sys.exit(f"{argv[0]} cannot be run: {error.strerror}")


if __name__ == "__main__":
    main()
