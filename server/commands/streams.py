"""Standard streams and arguments as a shell may leave them: closed, full, in another encoding."""

import errno
import os
import signal
import sys
from collections.abc import Callable
from io import TextIOWrapper

_STREAMS = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))
_UNWRITTEN = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EPIPE, errno.EBADF}


def with_usable_streams(run: Callable[[], None]) -> None:
    """Run a command. Exits with one line if its arguments cannot be read or its output not be written."""
    _open_closed()
    for argument in sys.argv[1:]:
        if argument.encode(errors="replace").decode() != argument:
            shown = argument.encode(errors="replace").decode()
            raise SystemExit(f"finlink: {shown} is no {sys.getfilesystemencoding().upper()}")
    try:
        run()
        sys.stdout.flush()
    except OSError as error:
        if error.errno not in _UNWRITTEN:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left is lost
        if isinstance(error, BrokenPipeError):  # as after `| head`
            sys.exit(128 + signal.SIGPIPE)
        raise SystemExit(f"finlink: the output cannot be written: {error.strerror}") from None


def _open_closed() -> None:
    """Else a connection could take the number of a closed stream, and be written to."""
    for descriptor, (name, mode) in enumerate(_STREAMS):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
        if getattr(sys, name) is None:
            setattr(sys, name, open(descriptor, mode, encoding="utf-8", closefd=False))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # its encoding may lack a character
