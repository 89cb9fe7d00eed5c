"""The parts that a domain brings, and the kernel that every domain is built on.

A domain is a folder of `server/domains`. The folder's `domain.py` has a `Domain`;
`build` makes its `Parts` of the `Kernel`. Nothing else of the server knows a domain by name.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar, Protocol, TypeAlias

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
from server.jobs.queue import Job
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


class SealedRows(Protocol):
    """Documents of a domain that are sealed under data keys, as commands and servers that start see them."""

    fields: ClassVar[Mapping[str, str]]  # by collection, the field that a sealed document has

    def __init__(self, database: Database) -> None: ...

    async def count_unsealed(self) -> int:
        """How many an earlier release has left in clear, until the servers have sealed them."""

    async def count_keyless(self, sample: int | None = None) -> int:
        """How many owners have such documents and no data key; of so many at random, or of all."""

    async def erase_keyless(self) -> int:
        """Have their documents erased, as those of owners whose key was destroyed; gives how many owners."""


@dataclass(frozen=True, slots=True)
class FedConnector:
    """A connector of which something waits in a `RecordFeed`."""

    id: str
    user_id: str
    platform: str
    erased: bool = False  # its records were erased: what was made of them goes first
    valued: bool = False  # its holdings are others than before
    state: Mapping[str, Any] = field(default_factory=dict)  # what `RecordFeed.take` was given last


@dataclass(frozen=True, slots=True)
class FedRecord:
    """A record as its platform reported it; fields have the names of the contract."""

    id: str
    key: str  # at the platform; the same after the records were erased and fetched again
    data: Mapping[str, Any]
    withdrawn: bool = False  # the platform reports it no more


class RecordFeed(Protocol):
    """Records of connectors, each until another domain has taken it: a connector at a time, under a lease.

    Taking records, and storing what is made of them, is one transaction. Methods with a job raise LeaseLost.
    """

    async def claim(self, *, abandoned: bool) -> Job[FedConnector] | None: ...

    async def due_since(self) -> datetime | None:
        """Since when the connector that has waited longest waits for a worker, or fails again and again."""

    async def run(self, job: Job[FedConnector], work: Coroutine[Any, Any, None]) -> None:
        """Do the work and keep the lease meanwhile."""

    async def mark(self, job: Job[FedConnector]) -> None:
        """Give all records of the connector the mark of new ones, if somebody has asked for that."""

    async def rows(
        self, job: Job[FedConnector], limit: int, session: ClientSession | None = None
    ) -> Sequence[FedRecord]:
        """At most so many bank rows that are new, or whose being withdrawn is; oldest first."""

    async def holdings(self, job: Job[FedConnector], session: ClientSession) -> Sequence[FedRecord]:
        """All that is there now."""

    async def take(
        self,
        job: Job[FedConnector],
        rows: Sequence[FedRecord],
        session: ClientSession,
        *,
        erased: bool = False,
        valued: bool = False,
        state: Mapping[str, Any] | None = None,
    ) -> None:
        """Take rows; `erased` and `valued`: what the connector said of these is done."""

    async def finish(self, job: Job[FedConnector], session: ClientSession) -> None:
        """Nothing is left. A record that comes at the same moment makes it begin again."""

    async def defer(self, job: Job[FedConnector], wait: timedelta) -> None:
        """It has failed: it is due again after a while."""

    async def ask_again(self, connector_id: str, session: ClientSession | None = None) -> None:
        """Have all rows of a connector come again."""


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
    feed: RecordFeed | None = None  # of the one domain that syncs


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
    sealed: type[SealedRows] | None = None  # what it keeps sealed under data keys
    # It is built after the domains of earlier stages, and gets their parts.
    stage: int = 0


# The stages of those that ask all others: what depends on a user, what is exported, and what has checks, is
# built before.
GATHERS_DEPENDENTS = 8
GATHERS_EXPORTERS = 9
GATHERS_CHECKS = 10
