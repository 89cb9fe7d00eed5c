"""A user's calls within an hour: which count, and that all workers of a host count them together."""

from __future__ import annotations

import asyncio
import copy
import subprocess
import sys
import zlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.core.access import ApiKey, Scope
from server.core.authorization import Reach
from server.core.clock import utc_now
from server.core.errors import RateLimited
from server.core.principals import NOBODY, Principal, Represented, Role, SignedIn
from server.rpc.call import Call, Context, enter_call
from server.rpc.method import Method
from server.rpc.middleware.user_limits import UserLimits
from server.rpc.rate_limiter import PLACES, Limit, RateLimiter
from tests.contract.descriptors import methods
from tests.stack import ROOT

HOUR = 3600 * 10**9
METHODS = {method.descriptor.name: method for method in methods()}
READ, CHANGE = METHODS["GetUser"], METHODS["UpdateUserProfile"]
CALLS, CHANGES = 10, 3
ANN, BOB = "665f1f77bcf86cd799439011", "665f1f77bcf86cd799439012"
KEY = ApiKey("app", Scope.WRITE, "digest")


class Time:
    """Nanoseconds since the machine started, which a test turns."""

    def __init__(self, at: int = 1000 * HOUR) -> None:
        self.at = at

    def __call__(self) -> int:
        return self.at


def signed_in(user: str, kind: str = "token") -> Principal:
    later = utc_now() + timedelta(minutes=1)
    by_user = SignedIn(user, user, "session", Role.USER, kind, ("pwd",), utc_now(), later)
    return Principal(signed_in=by_user)


class Worker:
    """The middleware of one worker, before servicers that do nothing."""

    def __init__(self, limiter: RateLimiter, calls: int = CALLS, changes: int = CHANGES) -> None:
        self._limits = UserLimits(limiter, calls=calls, changes=changes)

    async def call(self, principal: Principal, method: Method = READ) -> timedelta | None:
        """None for a call that was served, or when it may be made again."""

        async def serve(request: object, context: Context) -> bytes:
            return b"served"

        call = Call(method.path, "id", None, "peer")
        call.principal = principal
        enter_call(call)
        try:
            await self._limits(method, serve)(b"", cast("Context", None))
        except RateLimited as error:
            return error.retry_after or timedelta(0)
        return None

    async def served(self, principal: Principal, method: Method = READ) -> int:
        """How many calls until one is refused."""
        count = 0
        while await self.call(principal, method) is None:
            count += 1
            assert count <= 2 * CALLS, "there is no limit"
        return count


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def worker(time: Time) -> Worker:
    return Worker(RateLimiter(now=time))


@pytest.mark.parametrize("kind", ["token", "cookie"])
async def test_so_many_calls_pass_and_come_back_one_by_one(
    worker: Worker, time: Time, kind: str
) -> None:
    ann = signed_in(ANN, kind)
    assert await worker.served(ann) == CALLS
    wait = await worker.call(ann)
    assert wait == timedelta(hours=1) / CALLS
    time.at += HOUR // CALLS - 1
    assert await worker.call(ann) == timedelta(seconds=1)  # whole seconds, never too few
    time.at += 1
    assert await worker.served(ann) == 1
    assert await worker.served(signed_in(BOB)) == CALLS
    time.at += HOUR
    assert await worker.served(ann) == CALLS


async def test_changes_have_a_limit_of_their_own_within_that_of_calls(
    worker: Worker, time: Time
) -> None:
    ann = signed_in(ANN)
    assert await worker.served(ann, CHANGE) == CHANGES
    # One that was refused has used up nothing.
    assert await worker.served(ann) == CALLS - CHANGES
    time.at += HOUR // CHANGES
    assert await worker.served(ann, CHANGE) == 1


async def test_calls_that_are_used_up_stop_changes_and_take_none_of_them(
    worker: Worker, time: Time
) -> None:
    ann = signed_in(ANN)
    await worker.served(ann)
    for _ in range(CHANGES + 1):
        assert await worker.call(ann, CHANGE) is not None
    time.at += HOUR // 2
    assert await worker.served(ann, CHANGE) == CHANGES


@pytest.mark.parametrize("name", ["TriggerSync", "GetSync", "GetUser", "ListUsers"])
async def test_only_changes_of_users_are_such_changes(worker: Worker, name: str) -> None:
    assert await worker.served(signed_in(ANN), METHODS[name]) == CALLS


@pytest.mark.parametrize(
    "name", ["CreateUser", "UpdateUserPreferences", "UpdateUserStatus", "DeleteUser"]
)
async def test_all_changes_of_users_are(worker: Worker, name: str) -> None:
    assert await worker.served(signed_in(ANN), METHODS[name]) == CHANGES


async def test_a_users_token_counts_also_beside_a_key(worker: Worker) -> None:
    assert await worker.served(replace(signed_in(ANN), key=KEY)) == CALLS


@pytest.mark.parametrize(
    "principal",
    [
        NOBODY,
        Principal(is_open=True),
        Principal(KEY),
        Principal(KEY, on_behalf_of=Represented(ANN, "ann")),
        replace(signed_in(BOB), on_behalf_of=Represented(ANN, "ann")),
    ],
)
async def test_these_do_not_count(worker: Worker, principal: Principal) -> None:
    for _ in range(2 * CALLS):
        assert await worker.call(principal) is None
    assert await worker.served(signed_in(ANN)) == CALLS
    assert await worker.served(signed_in(BOB)) == CALLS


async def test_what_everybody_may_call_does_not_count(worker: Worker) -> None:
    logout = copy.copy(CHANGE)
    logout.access = replace(CHANGE.access, reach=Reach.PUBLIC)
    ann = signed_in(ANN)
    await worker.served(ann)
    assert await worker.call(ann, logout) is None


async def test_0_is_no_limit(time: Time) -> None:
    ann = signed_in(ANN)
    changes_only = Worker(RateLimiter(now=time), calls=0)
    for _ in range(2 * CALLS):
        assert await changes_only.call(ann) is None
    assert await changes_only.served(ann, CHANGE) == CHANGES
    calls_only = Worker(RateLimiter(now=time), changes=0)
    assert await calls_only.served(ann, CHANGE) == CALLS
    neither = Worker(RateLimiter(now=time), calls=0, changes=0)
    for _ in range(2 * CALLS):
        assert await neither.call(ann, CHANGE) is None


async def test_workers_that_share_a_file_count_together(tmp_path: Path, time: Time) -> None:
    workers = [Worker(RateLimiter(tmp_path / "limits", time)) for _ in range(2)]
    for number in range(CALLS):
        assert await workers[number % 2].call(signed_in(ANN)) is None
    for worker in workers:
        assert await worker.call(signed_in(ANN)) is not None
    alone = Worker(RateLimiter(now=time))
    assert await alone.served(signed_in(ANN)) == CALLS


PROGRAM = """
import sys
from pathlib import Path
from server.rpc.rate_limiter import Limit, RateLimiter
limiter = RateLimiter(Path(sys.argv[1]))
limits = [Limit.per_hour(0, 1000)]
print(sum(limiter.take(sys.argv[2], limits) == 0 for _ in range(1000)))
"""


async def test_processes_at_once_let_pass_what_one_would(tmp_path: Path) -> None:
    """Beside what comes back meanwhile, and a call now and then that two counted in one microsecond."""

    def run() -> int:
        argv = [sys.executable, "-c", PROGRAM, str(tmp_path / "limits"), ANN]
        done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True)
        return int(done.stdout)

    passed = sum(await asyncio.gather(*(asyncio.to_thread(run) for _ in range(2))))
    assert 1000 <= passed < 1500, "each of the two would let 1,000 pass"


async def test_a_file_from_before_the_machine_started_again_refuses_nobody(
    tmp_path: Path,
) -> None:
    before, after = Time(1000 * HOUR), Time(HOUR)
    await Worker(RateLimiter(tmp_path / "limits", before)).served(signed_in(ANN))
    worker = Worker(RateLimiter(tmp_path / "limits", after))
    assert await worker.served(signed_in(ANN)) == CALLS
    assert await worker.served(signed_in(ANN)) == 0


async def test_a_worker_that_read_its_clock_long_ago_sees_no_other_run(tmp_path: Path) -> None:
    """It was stopped between that and the look at the table, while others went on."""
    late, stopped = Time(1001 * HOUR), Time(1000 * HOUR)
    await Worker(RateLimiter(tmp_path / "limits", late)).served(signed_in(ANN))
    assert await Worker(RateLimiter(tmp_path / "limits", stopped)).served(signed_in(ANN)) == 0


def test_a_file_of_something_else_is_not_written(tmp_path: Path) -> None:
    file = tmp_path / "precious"
    file.write_text("precious")
    with pytest.raises(OSError, match="something else"):
        RateLimiter(file)
    assert file.read_text() == "precious"


def test_users_of_one_place_share_their_limits(time: Time) -> None:
    places: dict[int, str] = {}
    for number in range(PLACES):
        user = f"{number:024x}"
        other = places.setdefault(zlib.crc32(user.encode()) % PLACES, user)
        if other != user:
            break
    limiter, limits = RateLimiter(now=time), [Limit.per_hour(0, 1)]
    assert limiter.take(user, limits) == 0
    assert limiter.take(other, limits) == HOUR


# A model without buckets: in no span of time are more calls than at once, and as many as come back in it.
def fits(served: Sequence[int], at: int, calls: int) -> bool:
    interval = HOUR // calls
    return all(
        (len(served) - number + 1) * interval <= calls * interval + at - since
        for number, since in enumerate([*served, at])
    )


STEPS = st.lists(
    st.tuples(
        st.sampled_from([ANN, BOB]),
        st.booleans(),  # a change
        st.integers(0, 1),  # worker
        st.one_of(
            st.just(0), st.integers(0, HOUR // 4), st.sampled_from([HOUR // 5, HOUR // 2, HOUR])
        ),
    ),
    max_size=60,
)


@given(calls=st.integers(1, 7), changes=st.integers(1, 7), steps=STEPS)
def test_it_serves_what_the_limits_say(
    tmp_path_factory: pytest.TempPathFactory, calls: int, changes: int, steps: Any
) -> None:
    time = Time()
    file = tmp_path_factory.mktemp("limits") / "limits"
    workers = [RateLimiter(file, time) for _ in range(2)]
    limits = [Limit.per_hour(0, calls), Limit.per_hour(1, changes)]
    served: dict[tuple[str, int], list[int]] = {}
    for user, is_change, worker, later in steps:
        time.at += later
        kinds = (0, 1) if is_change else (0,)
        of_user = [(served.setdefault((user, kind), []), (calls, changes)[kind]) for kind in kinds]
        expected = all(fits(times, time.at, most) for times, most in of_user)
        wait = workers[worker].take(user, limits[: len(kinds)])
        assert (wait == 0) is expected
        if expected:
            for times, _ in of_user:
                times.append(time.at)
        else:
            # The first limit that is in the way says when it is not any more.
            times, most = next(each for each in of_user if not fits(each[0], time.at, each[1]))
            assert not fits(times, time.at + wait - 1, most)
            assert fits(times, time.at + wait, most)
