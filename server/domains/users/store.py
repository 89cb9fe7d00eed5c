"""Users in MongoDB: collection `users`, fields as the product's schema has them."""

from collections.abc import Mapping, Sequence

from finlink_words import USER_STATUSES
from msgspec import to_builtins
from msgspec.structs import replace
from pymongo import DESCENDING, IndexModel
from pymongo.collation import Collation
from pymongo.errors import DuplicateKeyError

from server.core.clock import utc_now
from server.core.errors import FieldError
from server.core.model import Changes
from server.core.pages import Page, PageRequest
from server.core.users import NewUser, User, UserExists
from server.domains.users.errors import LastAdmin, UserNotFound
from server.domains.users.model import UserFilter
from server.storage.cache_feed import Followed
from server.storage.counter_spec import COUNTED_AS, CounterSpec
from server.storage.counters import Counters
from server.storage.driver import ClientSession, Database, Document
from server.storage.mapping import without_nulls
from server.storage.repository import LOCK, NEWEST_FIRST, Listing, Repository

USERS = "users"
ARCHIVE = "users_archive"

COUNTED = CounterSpec(USERS, {"status": (*USER_STATUSES, None)})
FOLLOWED = Followed(USERS, ignored=[LOCK, COUNTED_AS], inserts=False)

_ANY_CASE = Collation(locale="en", strength=2)
# Of each list; what follows its order are the filters it may have as well, so that users who do not pass
# them are not read.
_ALL_INDEX = "createdAt_-1__id_-1"
_STATUS_INDEX = "status_newest_risk"
_RISK_INDEX = "profile.riskTolerance_1_createdAt_-1__id_-1"
_CITY_INDEX = "city_newest_status_risk"
_EMAIL_INDEX = "email_1_if_any"
_ADMINS_INDEX = "admins"
# Of a user who comes back: nothing to sign in with, and no role over others.
_WITHOUT_LOGINS = {"role": "user", "phoneVerified": False, "mfaEnabled": False}
_NUMBER, _PROVED = "profile.phoneNumber", "phoneVerified"
RETIRED = {USERS: ["status_1_createdAt_-1__id_-1", "profile.city_1_createdAt_-1__id_-1", "email_1"]}


def indexes(archive_days: int) -> Mapping[str, Sequence[IndexModel]]:
    """The indexes of this domain. Archived users are erased `archive_days` after their deletion."""
    return {
        USERS: [
            IndexModel("userId", unique=True),
            # A user who came by phone has none.
            IndexModel(
                "email",
                name=_EMAIL_INDEX,
                unique=True,
                partialFilterExpression={"email": {"$gt": ""}},
            ),
            COUNTED.index,
            IndexModel("role", name=_ADMINS_INDEX, partialFilterExpression={"role": "admin"}),
            IndexModel(NEWEST_FIRST, name=_ALL_INDEX),
            IndexModel(["status", *NEWEST_FIRST, "profile.riskTolerance"], name=_STATUS_INDEX),
            IndexModel(["profile.riskTolerance", *NEWEST_FIRST], name=_RISK_INDEX),
            IndexModel(
                ["profile.city", *NEWEST_FIRST, "status", "profile.riskTolerance"],
                name=_CITY_INDEX,
                collation=_ANY_CASE,
            ),
        ],
        ARCHIVE: [
            IndexModel("archivedAt", expireAfterSeconds=archive_days * 86_400),
            IndexModel(["userId", "archivedAt"]),
        ],
    }


class UserStore(Repository[User]):
    """Users, found by `userId`."""

    def __init__(self, database: Database) -> None:
        super().__init__(
            database,
            USERS,
            User,
            missing=UserNotFound,
            taken=UserExists,
            key="userId",
            allow_stale=True,
        )
        self._primary = database.collection(USERS)
        self._archive = database.collection(ARCHIVE)
        self._counters = Counters(database, COUNTED)

    async def create(
        self, new: NewUser, session: ClientSession | None = None, *, role: str = "user"
    ) -> User:
        """Raises UserExists naming every field that is taken."""
        user = replace(self.new(new), role=role)
        try:
            await self.insert([user], session)
        except UserExists:
            raise await self._what_is_taken(new.user_id, new.email) from None
        return user

    def _following(self, changes: Changes) -> Document:
        """A number that is only typed is not a verified one; identity says of one that was proved."""
        if _NUMBER not in changes or _PROVED in changes:
            return {}
        is_same = {"$eq": [f"${_NUMBER}", {"$literal": changes[_NUMBER]}]}
        return {_PROVED: {"$and": [f"${_PROVED}", is_same]}}

    async def create_all(
        self, news: Sequence[NewUser], session: ClientSession | None = None
    ) -> Sequence[User]:
        """All or none, in a transaction. Raises UserExists, which does not say what is taken."""
        users = [self.new(new) for new in news]
        await self.insert(users, session)
        return users

    async def archive(self, user_id: str, session: ClientSession) -> User:
        """Move a user out of every read, inside a transaction. Raises UserNotFound."""
        document = await self.remove(user_id, session)
        await self._counters.leave([document], session)
        document.pop(COUNTED_AS, None)
        await self._archive.insert_one({**document, "archivedAt": utc_now()}, session=session)
        return self._mapped.read(document)

    async def restore(self, user_id: str, session: ClientSession) -> User:
        """Move the user back who was archived last under this `userId`, inside a transaction.

        Raises UserNotFound, and UserExists naming what is taken meanwhile.
        """
        document = await self._archive.find_one_and_delete(
            {"userId": user_id}, sort=[("archivedAt", DESCENDING)], session=session
        )
        if document is None:
            raise UserNotFound
        del document["archivedAt"]
        document |= {**_WITHOUT_LOGINS, "updatedAt": utc_now()}
        try:
            await self._collection.insert_one(document, session=session)
        except DuplicateKeyError:
            raise await self._what_is_taken(user_id, document.get("email")) from None
        return self._mapped.read(document)

    async def role(self, user_id: str) -> str | None:
        """The role that somebody has at this moment; None if nobody has this `userId`."""
        found = await self._primary.find_one({"userId": user_id}, {"role": 1})
        return None if found is None else str(found.get("role") or "user")

    async def lock_other_admin(self, user_id: str, session: ClientSession) -> bool:
        """Whether there is another active admin, who then stays one until the transaction ends.

        Of two admins who demote each other, each locks the other, so one of them has to wait and sees.
        """
        found = await self._collection.find_one_and_update(
            _other_admins(user_id), {"$inc": {LOCK: 1}}, hint=_ADMINS_INDEX, session=session
        )
        return found is not None

    async def check_not_last_admin(self, user: User) -> None:
        """Raise LastAdmin if this is the only active admin, as it looks before a change begins."""
        if user.role == "admin" and user.is_active:
            query = _other_admins(user.user_id)
            if await self._primary.find_one(query, {"_id": 1}, hint=_ADMINS_INDEX) is None:
                raise LastAdmin

    async def _what_is_taken(self, user_id: str, email: str | None) -> UserExists:
        fields = []
        if await self.exists({"userId": user_id}):
            fields.append(FieldError("userId", "User ID already exists"))
        if email is not None and await self.exists({"email": email}):
            fields.append(FieldError("email", "Email already exists"))
        return UserExists(fields[0].message if len(fields) == 1 else None, fields=fields)

    async def list(self, where: UserFilter, wanted: PageRequest) -> Page[User]:
        async def total() -> int:
            totals = await self._counters.totals()
            return sum(n for (status,), n in totals.items() if where.status in {None, status})

        query = {
            "status": where.status,
            "profile.city": where.city,
            "profile.riskTolerance": where.risk_tolerance,
        }
        listing = Listing(
            without_nulls(query),
            to_builtins(where),
            index=_index(where),
            collation=_ANY_CASE if where.city is not None else None,
            total=total if where.city is None and where.risk_tolerance is None else None,
        )
        return await self.page(listing, wanted)


def _other_admins(user_id: str) -> Document:
    return {
        "role": "admin",
        "status": {"$in": ["active", None]},  # a user without a status counts as active
        "userId": {"$ne": user_id},
    }


def _index(where: UserFilter) -> str:
    if where.city is not None:
        return _CITY_INDEX
    if where.status is not None:
        return _STATUS_INDEX
    return _ALL_INDEX if where.risk_tolerance is None else _RISK_INDEX
