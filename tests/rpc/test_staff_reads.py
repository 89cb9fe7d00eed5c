"""Staff who look on behalf of a user are recorded before they see anything."""

from __future__ import annotations

from typing import Any, cast

import pytest

from server.core.access import ApiKey, Scope
from server.core.clock import utc_now
from server.core.errors import ApiError, Unavailable
from server.core.events import Event
from server.core.principals import NOBODY, Principal, Represented, Role, SignedIn
from server.domains.money.errors import ExchangeRateNotFound
from server.rpc.call import Call, Context, enter_call
from server.rpc.method import Method
from server.rpc.middleware.staff_reads import StaffReads
from tests.contract.descriptors import methods

BY_NAME = {method.descriptor.name: method for method in methods()}
VIEWED = BY_NAME["GetExchangeRates"]
ANN = Represented("1", "ann")


def signed_in(role: Role) -> SignedIn:
    return SignedIn("2", "helper", "s", role, "token", ("pwd",), utc_now(), utc_now())


HELPER = Principal(signed_in=signed_in(Role.MODERATOR), on_behalf_of=ANN)
READER = Principal(ApiKey("desk", Scope.READ, "0" * 64), on_behalf_of=ANN)
SERVICE = Principal(ApiKey("app", Scope.WRITE, "0" * 64), on_behalf_of=ANN)


class Trail:
    """Stands for the audit trail; `seen` is in the order in which things happen."""

    def __init__(self, error: ApiError | None = None, found: ApiError | None = None) -> None:
        self.seen: list[Event | str] = []
        self._error = error
        self._found = found

    async def add(self, event: Event) -> None:
        if self._error is not None:
            raise self._error
        self.seen.append(event)

    async def call(self, method: Method, principal: Principal) -> Any:
        async def serve(request: Any, context: Context) -> Any:
            self.seen.append("served")
            if self._found is not None:
                raise self._found
            return "reply"

        enter_call(Call(method.path, "id", None, "peer", principal=principal))
        handle = StaffReads(self.add)(method, serve)
        return await handle(method.request_class(), cast("Context", None))


@pytest.mark.parametrize("principal", [HELPER, READER])
async def test_a_look_is_recorded_with_whom_and_what(principal: Principal) -> None:
    trail = Trail()
    assert await trail.call(VIEWED, principal) == "reply"
    event = Event("money.viewed", "ann", fields=["GetExchangeRates"])
    assert trail.seen == ["served", event]


@pytest.mark.parametrize("principal", [NOBODY, SERVICE, Principal(signed_in=signed_in(Role.ADMIN))])
async def test_other_calls_are_not(principal: Principal) -> None:
    trail = Trail()
    await trail.call(VIEWED, principal)
    assert trail.seen == ["served"]


async def test_there_is_no_reply_that_is_not_recorded() -> None:
    with pytest.raises(Unavailable):
        await Trail(error=Unavailable()).call(VIEWED, HELPER)


async def test_nothing_was_seen_where_nothing_was_found() -> None:
    trail = Trail(found=ExchangeRateNotFound())
    with pytest.raises(ExchangeRateNotFound):
        await trail.call(VIEWED, HELPER)
    assert trail.seen == ["served"]


async def test_of_a_stream_the_event_comes_first() -> None:
    stream = Method(BY_NAME["WatchConnectors"].descriptor)
    stream.access = VIEWED.access
    trail = Trail()
    await trail.call(stream, READER)
    event = Event("connectors.viewed", "ann", fields=["WatchConnectors"])
    assert trail.seen == [event, "served"]


def test_a_call_that_staff_may_not_make_costs_nothing() -> None:
    async def serve(request: Any, context: Context) -> Any:
        return request

    assert StaffReads(Trail().add)(BY_NAME["GetUser"], serve) is serve
