"""The events that record changes, and who makes them: the words of the audit trail."""

from collections.abc import Callable, Sequence
from contextvars import ContextVar

from server.core.model import Model


class Actor(Model, frozen=True, omit_defaults=True):
    """Who does something: a caller, the sync engine (`system`), or a `command` of an operator."""

    kind: str
    address: str | None = None
    key: str | None = None
    certificate: str | None = None
    user_agent: str | None = None
    request_id: str | None = None
    user_id: str | None = None  # of a user who has signed in
    session_id: str | None = None
    on_behalf_of: str | None = None  # the userId for whom a service or staff acts


class Event(Model, frozen=True, omit_defaults=True):
    """Something that is done. `fields` are names, never values; `code` says why something failed.

    `count` says how often something was done by then that is not recorded each time.
    """

    action: str
    user_id: str | None = None
    connector_id: str | None = None
    platform: str | None = None
    fields: Sequence[str] = ()
    code: str | None = None
    count: int | None = None


SYSTEM = Actor("system")
_actor: ContextVar[Callable[[], Actor]] = ContextVar("finlink_actor", default=lambda: SYSTEM)


def current_actor() -> Actor:
    return _actor.get()()


def enter_actor(actor: Actor) -> None:
    """Make `actor` the current one for this task and those it starts."""
    _actor.set(lambda: actor)


def enter_actor_of(whose: Callable[[], Actor]) -> None:
    """The same for one that is made when it is asked for: most calls record nothing."""
    _actor.set(whose)
