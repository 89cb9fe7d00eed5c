"""Where work on passwords runs."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Sequence

from server.domains.identity.credentials.passwords.hashing import NICENESS, PasswordHashing
from server.domains.identity.credentials.passwords.policy import PasswordPolicy
from server.domains.identity.credentials.passwords.scheme import PasswordScheme
from tests.domains.identity.passwords.stepping import Run, callers, niceness

BEFORE = niceness()  # of the thread that runs the tests, as no test has run


class ObservedPolicy(PasswordPolicy):
    def check_new_password(
        self,
        password: str,
        *,
        user_id: str | None = None,
        email: str | None = None,
        names: Sequence[str] = (),
    ) -> str | None:
        RUNS.append(Run(password))
        return super().check_new_password(password, user_id=user_id, email=email, names=names)


class ObservedScheme(PasswordScheme):
    def verify(self, password: str, stored: str | None) -> bool:
        RUNS.append(Run(password))
        return super().verify(password, stored)

    def hash(self, password: str) -> str:
        RUNS.append(Run(password))
        return super().hash(password)


RUNS: list[Run] = []


async def test_all_of_it_runs_in_threads_of_its_own_and_of_low_priority() -> None:
    RUNS.clear()
    hashers = 2
    scheme = ObservedScheme({"1": bytes(32)}, "1", 4)
    hashing = PasswordHashing(scheme, ObservedPolicy(8), hashers=hashers)
    default = await asyncio.gather(*(asyncio.to_thread(Run, "other") for _ in range(8)))

    async def call(name: str) -> None:
        async with hashing.place(known_device=False) as place:
            await place.check_new_password(name)
            stored = await place.hash(name)
            assert await place.verify(name, stored)

    await asyncio.gather(*(call(f"password {number}") for number in range(6)))
    await hashing.stop()
    assert len(RUNS) == 18
    used = {run.thread for run in RUNS}
    assert len(used) <= hashers
    assert not used & ({run.thread for run in default} | {threading.get_ident()})
    assert all(run.name.startswith("password-hasher") for run in RUNS)
    expected = max(NICENESS, BEFORE) if sys.platform == "linux" else BEFORE
    assert {run.niceness for run in RUNS} == {expected}
    # Nobody else's is changed.
    assert niceness() == BEFORE
    assert {run.niceness for run in default} == {BEFORE}


async def test_no_more_run_at_once_than_there_are_threads() -> None:
    async with callers(hashers=2) as many:
        await many.fill(5)
        assert {await many.scheme.begun(), await many.scheme.begun()} == {"False0", "False1"}
        assert len(many.scheme.order) == 2
        many.scheme.proceed()
        assert await many.scheme.begun() == "False2"
        assert len(many.scheme.order) == 3
        # None of those that wait is in the threads' own queue, which knows no devices.
        await many.call("known", known_device=True)
        many.scheme.proceed()
        assert await many.scheme.begun() == "known"
