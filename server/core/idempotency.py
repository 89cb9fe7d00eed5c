"""How the reply to a call gets into the transaction that makes the call's change.

A call with an idempotency key leaves its effect and its reply, or neither. The middleware that serves the
key (`rpc/middleware/idempotency.py`) opens a `KeyedCall`. The servicer makes a `KeyedReply` of it with
`rpc.call.replied`, and passes it to the use case. The use case gives it to `RecordedChanges.make`, which
stores the reply with the change, in `IdempotencyRecords` (`storage/idempotency.py`). A change on the way
to that has no such reply to give, so it stores none.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol


class AlreadyReplied(Exception):
    """Another process has replied to this call meanwhile."""


class CallUnderWay(Exception):
    """Another process serves this call, and takes long."""


@dataclass(frozen=True, slots=True)
class IdempotencyRecord:
    """A reply. `request` identifies the request; `content` is encrypted where it is stored."""

    request: str
    content: Mapping[str, str]


class IdempotencyRecords(Protocol):
    """Where replies are stored. `name` identifies a call by its key and scope."""

    def serving(self, name: str, wait: timedelta) -> AbstractAsyncContextManager[None]:
        """Inside, nobody else serves the call. Raises CallUnderWay after a wait."""

    async def find(self, name: str) -> IdempotencyRecord | None: ...

    async def add(
        self, records: Sequence[tuple[str, IdempotencyRecord]], session: Any = None
    ) -> None:
        """Store each under its name, or none.

        Raises AlreadyReplied; the transaction of `session` cannot commit then.
        """


@dataclass
class KeyedCall:
    """A call whose caller sent an idempotency key."""

    records: IdempotencyRecords
    name: str
    record: Callable[[Any], IdempotencyRecord]  # of a reply
    stored: Any = None  # the reply that was stored last; its transaction may not have committed yet


@dataclass(frozen=True, slots=True)
class KeyedReply:
    """The reply to such a call, to be stored with its change."""

    call: KeyedCall
    build: Callable[[Any], Any]  # makes it of what the use case returns

    def record(self, result: Any) -> tuple[str, IdempotencyRecord]:
        """The call's name, and what is stored under it."""
        self.call.stored = self.build(result)
        return self.call.name, self.call.record(self.call.stored)


async def store_replies(results: Sequence[tuple[KeyedReply, Any]], session: Any) -> None:
    """Store the replies to what calls result in, in a transaction. Raises AlreadyReplied."""
    if results:
        records = results[0][0].call.records
        await records.add([reply.record(result) for reply, result in results], session)
