"""How the answer of a call gets into the transaction that makes the call's change.

A call with an idempotency key leaves its effect and its answer, or neither. The step that serves the
key (`rpc/interceptors/idempotency.py`) opens a `KeyedCall`; the servicer says with `answered` how the
result of its use case becomes the reply; `RecordedChanges.make` stores that reply with the change, in
`Answers` (`storage/answers.py`). Each of them knows the others by this file only.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class AnswerExists(Exception):
    """Another process has answered this call meanwhile."""


class CallUnderWay(Exception):
    """Another process serves this call, and takes long."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`request` tells requests apart; `content` is encrypted where it is stored."""

    request: str
    content: Mapping[str, str]


class Answers(Protocol):
    """Where answers are kept. `name` identifies a call by its key and scope."""

    def serving(self, name: str, patience: timedelta) -> AbstractAsyncContextManager[None]:
        """Inside, nobody else serves the call. Raises CallUnderWay after `patience`."""
        ...

    async def find(self, name: str) -> Answer | None: ...

    async def keep(self, answers: Sequence[tuple[str, Answer]], session: Any = None) -> None:
        """Keep each under its name, or none.

        Raises AnswerExists; the transaction of `session` cannot commit then.
        """
        ...


@dataclass
class KeyedCall:
    """The call being served, where its caller sent an idempotency key."""

    answers: Answers
    name: str
    answer: Callable[[Any], Answer]  # how a reply is kept
    reply: Callable[[Any], Any] | None = None
    stored: Any = None  # the reply that was stored last; its transaction may not have committed

    def answer_to(self, result: Any) -> tuple[str, Answer]:
        """The name and the answer to keep for `result`, whose reply is noted."""
        if self.reply is None:
            raise RuntimeError("a servicer changes something without `answered`")
        self.stored = self.reply(result)
        return self.name, self.answer(self.stored)


async def keep_answers(results: Sequence[tuple[KeyedCall, Any]], session: Any) -> None:
    """Keep the replies to what calls result in, in the transaction of `session`. Raises AnswerExists."""
    if results:
        store = results[0][0].answers
        await store.keep([call.answer_to(result) for call, result in results], session)


_keyed_call: ContextVar[KeyedCall | None] = ContextVar("finlink_keyed_call", default=None)


def keyed_call() -> KeyedCall | None:
    """The call being served, None where it has no key or there is none."""
    return _keyed_call.get()


def enter_keyed_call(call: KeyedCall) -> None:
    """Make `call` the current one for this task and those it starts."""
    _keyed_call.set(call)


async def answered(result: Awaitable[T], reply: Callable[[T], R]) -> R:
    """The reply to what a use case gives. The use case's own change gives `RecordedChanges.make` the same."""
    call = _keyed_call.get()
    if call is not None:
        call.reply = reply
    return reply(await result)
