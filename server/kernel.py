"""The parts that a domain brings, and the kernel that every domain is built on.

A domain is a folder of `server/domains`. The folder's `domain.py` has a `Domain`;
`build` makes its `Parts` of the `Kernel`. Nothing else of the server knows a domain by name.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from google.protobuf.descriptor import FileDescriptor
from pymongo import IndexModel

from server.cache.generations import Generations
from server.config import Settings
from server.core.clock import Clock
from server.core.health import HealthCheck
from server.core.model import Changes
from server.core.principals import SignIns
from server.core.users import NewUser, User
from server.delivery.outbox import Outbox
from server.rpc.middleware.ownership import Owners
from server.security.ring import KeyRing
from server.storage.audit import AuditTrail
from server.storage.cache_feed import Followed
from server.storage.changes import RecordedChanges
from server.storage.counter_spec import CounterSpec, Values
from server.storage.driver import ClientSession, Database
from server.storage.leases import Leases

Indexes: TypeAlias = Mapping[str, Sequence[IndexModel]]  # by collection
# One item of an export: its kind, which says how it is converted, and the domain's object.
Exported: TypeAlias = tuple[str, Any]


class Users(Protocol):
    """The questions that domains may ask about users. Each method raises UserNotFound."""

    async def is_active(self, user_id: str) -> bool: ...

    async def identity(self, user_id: str, *, expected: str | None = None) -> str:
        """`User.id`, which is never given again, unlike `userId`; a user of another is not found."""

    async def lock(self, user_id: str, session: ClientSession) -> bool:
        """`is_active` inside a transaction, which keeps the user from changing until it ends."""

    async def get(self, user_id: str) -> User: ...

    async def find(self, field: str, value: str) -> User | None:
        """The user who has this `id` or `email` (lower case), or None."""

    async def lock_id(self, user: str, session: ClientSession) -> User | None:
        """The user of a `User.id`, who cannot change until the transaction ends; None if there is none."""

    async def create(self, new: NewUser, session: ClientSession) -> User:
        """Raises UserExists, naming what is taken."""

    async def update(self, user_id: str, changes: Changes, session: ClientSession) -> User:
        """Change fields by document path, inside a transaction."""


class UserDependents(Protocol):
    """Data that a domain keeps of a user and must change together with the user.

    A class that derives from it says only what it does; the rest is nothing.
    """

    async def check_deletable(self, user: User) -> None:
        """Raise an ApiError if the user must not be deleted now. All domains are asked before any acts."""
        return

    async def before_delete(self, user: User) -> None:
        """Notify external services, if they can be reached; nothing is decided yet."""
        return

    async def delete(self, user: User, session: ClientSession) -> None:
        """Remove everything kept of the user, inside the transaction that deletes the user."""
        return

    async def set_active(self, user: User, active: bool, session: ClientSession) -> None:
        """Let the user's background work run or pause, inside the same transaction."""
        return

    async def role_changed(self, user: User, session: ClientSession) -> None:
        """Let the user's sessions have the new role, inside the transaction that has written it."""
        return

    async def after_role_change(self, user: User) -> None:
        """Such a change has been committed, or nobody knows: what was read before it holds no more."""
        return

    async def email_changed(self, user: User, before: str | None, session: ClientSession) -> None:
        """The user's address was another one, inside the transaction that has written the new one."""
        return

    def committed(self, user: User) -> None:
        """Such a change has been committed, or nobody knows: notify the workers of this host."""
        return


class Passwords(Protocol):
    """The passwords of users whom somebody else creates."""

    async def hash_new(self, password: str, *, user_id: str, email: str | None) -> str:
        """The text to store. Raises InvalidRequest if it is too easy to guess; Unavailable."""

    async def store(self, user: User, hashed: str, session: ClientSession) -> None:
        """Let a new user sign in with it, inside the transaction that creates the user."""


class UserExporter(Protocol):
    """Data that a domain keeps of a user and returns when the user is exported."""

    def export(self, user_id: str) -> AsyncGenerator[Exported, None]:
        """All of it, read as it is asked for. Ends early if the user is deleted meanwhile."""


@dataclass(frozen=True)
class Secrets:
    """Keys of Finlink's own. They stay when the ring's keys are replaced."""

    user_ids: bytes
    requests: bytes
    answers: bytes
    audit: bytes
    deliveries: bytes
    of_domains: Mapping[str, bytes]  # those that a domain has named


@dataclass(frozen=True)
class Kernel:
    settings: Settings
    database: Database
    leases: Leases
    ring: KeyRing
    secrets: Secrets
    generations: Generations
    trail: AuditTrail
    changes: RecordedChanges
    users: Users
    outbox: Outbox
    clock: Clock


class Background(Protocol):
    """Work beside the calls, in every process."""

    def start(self) -> None: ...

    async def stop(self) -> None: ...


class Engine(Protocol):
    """Work that runs in processes that sync."""

    def start(self) -> None: ...

    async def stop(self, grace: float) -> None:
        """Let what is under way end within `grace` seconds."""


@dataclass(frozen=True)
class Counted:
    """The counters of a collection, and who gets the totals."""

    spec: CounterSpec
    report: Callable[[Mapping[Values, int]], None]


@dataclass(frozen=True)
class Parts:
    """A domain as it was built. Its parts end in the reverse order."""

    register: Callable[[Any], None]  # adds its servicers to a gRPC server
    background: Sequence[Background] = ()
    engines: Sequence[Engine] = ()
    closing: Sequence[Callable[[], Awaitable[None]]] = ()  # ends streams, before the server stops
    closed: Sequence[Callable[[], Awaitable[None]]] = ()  # releases resources, at the very end
    dependents: Sequence[UserDependents] = ()
    exporters: Sequence[UserExporter] = ()
    # By kind: to a message.
    exported: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)
    counted: Sequence[Counted] = ()
    # By the request's field that holds the id of a resource.
    owners: Mapping[str, Owners] = field(default_factory=dict)
    sign_ins: SignIns | None = None  # of the one domain that signs users in
    checks: Sequence[HealthCheck] = ()  # how the domain is, for people who run Finlink
    passwords: Passwords | None = None  # of the same


@dataclass(frozen=True)
class Domain:
    contract: Sequence[FileDescriptor]  # the files of its services
    build: Callable[[Kernel, Sequence[Parts]], Parts]  # with the parts of the domains before it
    indexes: Callable[[Settings], Indexes] = lambda _: {}
    # Indexes to drop, by collection.
    retired: Mapping[str, Sequence[str]] = field(default_factory=dict)
    # Collections whose change streams need the document before the change.
    images: Sequence[str] = ()
    followed: Sequence[Followed] = ()  # collections that cached responses are made of
    secrets: Sequence[str] = ()  # the names of keyed secrets of its own, for `Secrets.of_domains`
    # It is built after the domains of earlier stages, and gets their parts.
    stage: int = 0


# The stages of those that ask all others: what depends on a user, what is exported, and what has checks, is
# built before.
GATHERS_DEPENDENTS = 8
GATHERS_EXPORTERS = 9
GATHERS_CHECKS = 10
