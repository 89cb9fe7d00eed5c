"""One supervised process, with real ones."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from server.supervisor.process import WITH_PARENT, ProcessFailedError, SupervisedProcess
from server.supervisor.supervisor import Supervisor
from tests.supervisor.harness import DEADLINE, alive, child, eventually, quick, words

REFUSES = "import sys; sys.stderr.write('no such thing\\n'); sys.exit(3)"
# Up, then dead by its own hand.
CRASHES = """
import os, sys
with open(sys.argv[1], "a") as out:
    out.write(f"{sys.argv[2]} up\\n")
with open(sys.argv[1]) as said:
    print("the last thing it said", len(said.readlines()), file=sys.stderr, flush=True)
os.abort()
"""
STUBBORN = """
import signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
open(sys.argv[1], "a").write(f"{sys.argv[2]} up\\n")
while True:
    signal.pause()
"""
# Needs its time to end: until there is a byte in the fifo argv[3].
SLOW_TO_END = """
import signal, sys
def say(word):
    with open(sys.argv[1], "a") as out:
        out.write(f"{sys.argv[2]} {word}\\n")
def end(*_):
    say("told")
    open(sys.argv[3]).read(1)
    say("ended")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
say("up")
while True:
    signal.pause()
"""


@pytest.fixture
def said(tmp_path: Path) -> Path:
    return tmp_path / "said"


async def test_started_and_stopped(said: Path) -> None:
    supervisor = Supervisor()
    (process,) = await supervisor.start([child("a", said)])
    pid = process.pid
    assert pid is not None
    assert process.is_ready
    assert os.getpgid(pid) == pid  # a terminal's Ctrl-C does not reach it
    assert os.getsid(pid) == os.getsid(0)  # priorities count between the two
    await supervisor.stop([process])
    assert words(said) == ["a up", "a ended"]
    assert not alive(pid)
    assert process.pid is None


async def test_started_again_after_a_kill(said: Path) -> None:
    before: list[str] = []
    after: list[int] = []
    spec = quick(
        child("a", said), before_start=lambda: before.append("start"), after_end=after.append
    )
    supervisor = Supervisor()
    (process,) = await supervisor.start([spec])
    first = process.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    await eventually(lambda: process.pid not in {None, first} and process.is_ready)
    assert before == ["start", "start"]
    assert after == [first]
    await supervisor.stop([process])
    assert not alive(first)


async def test_five_crashes_end_it_with_the_reason(
    said: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.supervisor.restarts.LONGEST_DELAY", 0.01)
    log = tmp_path / "a.log"
    supervisor = Supervisor()
    (process,) = await supervisor.start([quick(child("a", said, CRASHES), log=log)])
    async with asyncio.timeout(DEADLINE):
        with pytest.raises(ProcessFailedError) as caught:
            await supervisor.watch()
    text = str(caught.value)
    assert "a ended 5 times within 60 s" in text
    assert "signal SIGABRT" in text
    assert "the last thing it said 5" in text
    assert "the last thing it said 4" not in text  # that was the process before
    assert words(said) == ["a up"] * 5
    await supervisor.stop([process])


async def test_one_that_refuses_to_start_is_not_tried_again(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    supervisor = Supervisor()
    with pytest.raises(
        ProcessFailedError, match=r"(?s)a did not start: exit code 3.*no such thing"
    ):
        await supervisor.start([quick(child("a", tmp_path / "said", REFUSES), log=log)])
    assert log.read_text() == "no such thing\n"
    await supervisor.stop(supervisor.processes)


async def test_one_that_never_gets_ready_is_ended(said: Path) -> None:
    spec = quick(child("a", said, ready_word="never"), ready_timeout=0.5)
    pids: list[int] = []
    supervisor = Supervisor(
        on_change=lambda: pids.extend(p.pid for p in supervisor.processes if p.pid is not None)
    )
    with pytest.raises(ProcessFailedError, match=r"not ready within 0\.5 s"):
        await supervisor.start([spec])
    assert pids
    assert not any(alive(pid) for pid in pids)


async def test_stopped_while_starting(said: Path) -> None:
    process = SupervisedProcess(child("a", said, ready_word="never"), asyncio.Event())
    process.launch()
    await eventually(lambda: "a up" in words(said))
    await process.stop()
    assert words(said) == ["a up", "a ended"]


async def test_stopped_while_it_waits_for_its_restart(said: Path) -> None:
    supervisor = Supervisor()
    (process,) = await supervisor.start([child("a", said, CRASHES)])
    await eventually(lambda: process.pid is None)
    await supervisor.stop([process])
    assert process.pid is None
    assert process.task is not None
    assert process.task.done()


async def test_killed_when_it_does_not_end(said: Path) -> None:
    supervisor = Supervisor()
    spec = quick(child("a", said, STUBBORN), stop_timeout=0.2)
    (process,) = await supervisor.start([spec])
    pid = process.pid
    assert pid is not None
    await supervisor.stop([process])
    assert not alive(pid)


async def test_second_ctrl_c_hurries(said: Path) -> None:
    supervisor = Supervisor()
    (process,) = await supervisor.start([child("a", said, STUBBORN)])
    pid = process.pid
    assert pid is not None
    supervisor.hurry.set()
    await supervisor.stop([process])
    assert not alive(pid)


async def test_second_ctrl_c_does_not_hurry_one_that_ignores_it(said: Path, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    supervisor = Supervisor()
    spec = quick(child("db", said, SLOW_TO_END, str(fifo)), ignores_hurry=True)
    (process,) = await supervisor.start([spec])
    stopping = asyncio.create_task(supervisor.stop([process]))
    await eventually(lambda: "db told" in words(said))
    supervisor.hurry.set()
    with fifo.open("w") as held:  # opens when the child, still alive, has opened its end
        held.write("x")
    await stopping
    assert words(said)[-1] == "db ended"


async def test_its_log_gets_both_streams_when_asked(said: Path, tmp_path: Path) -> None:
    program = "print('out'); raise SystemExit('err')"
    log = tmp_path / "a.log"
    supervisor = Supervisor()
    with pytest.raises(ProcessFailedError):
        await supervisor.start([quick(child("a", said, program), log=log, log_stdout=True)])
    assert sorted(log.read_text().split()) == ["err", "out"]


def test_a_program_that_cannot_be_run_is_named() -> None:
    argv = [sys.executable, "-I", "-S", str(WITH_PARENT), str(os.getpid()), "/nowhere/envoy"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "/nowhere/envoy cannot be run: No such file or directory\n"
