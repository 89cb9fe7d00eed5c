"""Records what staff look at on a user's behalf, innermost: the call has been let in by then."""

from collections.abc import Awaitable, Callable

from google.protobuf.message import Message

from server.core.authorization import looks_on_behalf
from server.core.events import Event
from server.rpc.call import Context, Serving, current_call
from server.rpc.method import Method


class StaffReads:
    """Middleware for the RPCs that staff, and API keys of the scope `read`, may make on a user's behalf.

    Each such call is an event `<domain>.viewed` about the user, with the RPC's name in `fields`. The reply
    is given only once that is recorded; of a stream the event comes first.
    """

    def __init__(self, record: Callable[[Event], Awaitable[None]]) -> None:
        self._record = record

    def __call__(self, method: Method, inner: Serving) -> Serving:
        access, record = method.access, self._record
        if not access.staff_reads:
            return inner
        action = f"{method.domain}.viewed"

        async def handle(request: Message, context: Context) -> Message:
            principal = current_call().principal
            if principal.on_behalf_of is None or not looks_on_behalf(access, principal):
                return await inner(request, context)
            user_id = principal.on_behalf_of.user_id
            event = Event(action, user_id, fields=[method.descriptor.name])
            if method.streams:
                await record(event)
                return await inner(request, context)
            reply = await inner(request, context)
            await record(event)
            return reply

        return handle
