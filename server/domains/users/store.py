"""Users in MongoDB: collection `users`, fields as the product's schema has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from bson import ObjectId
from finlink_words import USER_STATUSES
from pymongo import ASCENDING, DESCENDING, IndexModel, ReturnDocument
from pymongo.collation import Collation
from pymongo.errors import DuplicateKeyError

from server.core.clock import utc_now
from server.core.errors import FieldError
from server.domains.users.errors import UserExists
from server.domains.users.model import (
    Changes,
    Metadata,
    NewUser,
    Notifications,
    Preferences,
    Profile,
    User,
    UserFilter,
    UserPage,
)
from server.storage import paging
from server.storage.cache_feed import Followed
from server.storage.counters import COUNTED_AS, Counters, CounterSpec
from server.storage.data_loader import DataLoader
from server.storage.driver import Database, Document, Session, insert

USERS = "users"
ARCHIVE = "users_archive"

COUNTED = CounterSpec(USERS, {"status": (*USER_STATUSES, None)})
FOLLOWED = Followed(USERS, unseen=["holds", COUNTED_AS], inserts=False)

_NEWEST_FIRST = [("createdAt", DESCENDING), ("_id", DESCENDING)]
_ANY_CASE = Collation(locale="en", strength=2)
# Of each list; what follows its order are the filters it may have as well, so that users who do not pass
# them are not read.
_ALL_INDEX = "createdAt_-1__id_-1"
_STATUS_INDEX = "status_newest_risk"
_RISK_INDEX = "profile.riskTolerance_1_createdAt_-1__id_-1"
_CITY_INDEX = "city_newest_status_risk"
RETIRED = {USERS: ["status_1_createdAt_-1__id_-1", "profile.city_1_createdAt_-1__id_-1"]}


def indexes(archive_days: int) -> Mapping[str, Sequence[IndexModel]]:
    """The indexes of this domain. Archived users are erased `archive_days` after their deletion."""
    return {
        USERS: [
            IndexModel("userId", unique=True),
            IndexModel("email", unique=True),
            COUNTED.index,
            IndexModel(_NEWEST_FIRST, name=_ALL_INDEX),
            IndexModel(
                [("status", ASCENDING), *_NEWEST_FIRST, ("profile.riskTolerance", ASCENDING)],
                name=_STATUS_INDEX,
            ),
            IndexModel([("profile.riskTolerance", ASCENDING), *_NEWEST_FIRST], name=_RISK_INDEX),
            IndexModel(
                [
                    ("profile.city", ASCENDING),
                    *_NEWEST_FIRST,
                    ("status", ASCENDING),
                    ("profile.riskTolerance", ASCENDING),
                ],
                name=_CITY_INDEX,
                collation=_ANY_CASE,
            ),
        ],
        ARCHIVE: [
            IndexModel(
                "archivedAt", expireAfterSeconds=int(timedelta(days=archive_days).total_seconds())
            )
        ],
    }


class UserStore:
    """Reads and writes users. Driver errors pass through."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._users = database.collection(USERS, allow_stale=True)
        self._archive = database.collection(ARCHIVE)
        self._counters = Counters(database, COUNTED)
        self._by_id = DataLoader(self.get_many)

    async def insert(self, new: NewUser, session: Session | None = None) -> User:
        """Raises UserExists naming every field that is taken."""
        document = _new_document(new)
        try:
            await self._users.insert_one(document, session=session)
        except DuplicateKeyError:
            raise await self._taken(new) from None
        return _user(document)

    async def insert_all(self, news: Sequence[NewUser], session: Session) -> list[User]:
        """All or none, in a transaction. Raises UserExists where anything is taken, and does not say what."""
        documents = [_new_document(new) for new in news]
        try:
            await insert(self._users, documents, session)
        except DuplicateKeyError:
            raise UserExists from None
        return [_user(document) for document in documents]

    async def _taken(self, new: NewUser) -> UserExists:
        fields = []
        if await self._users.find_one({"userId": new.user_id}, {"_id": 1}):
            fields.append(FieldError("userId", "User ID already exists"))
        if await self._users.find_one({"email": new.email}, {"_id": 1}):
            fields.append(FieldError("email", "Email already exists"))
        return UserExists(fields[0].message if len(fields) == 1 else None, fields=fields)

    async def get(self, user_id: str) -> User | None:
        return await self._by_id.load(user_id)

    async def get_many(self, user_ids: Sequence[str]) -> dict[str, User]:
        """Those that exist, by `userId`."""
        documents = await self._users.find({"userId": {"$in": list(user_ids)}}).to_list(None)
        return {document["userId"]: _user(document) for document in documents}

    async def update(
        self, user_id: str, changes: Changes, session: Session | None = None
    ) -> User | None:
        """Apply `changes` (document path -> value, None removes) at once; None if there is no such user."""
        fields: Document = {"updatedAt": utc_now()}
        for path, value in changes.items():
            fields[path] = "$$REMOVE" if value is None else {"$literal": _stored(value)}
        # A pipeline also gets under a section that another tool stored as null.
        document = await self._users.find_one_and_update(
            {"userId": user_id},
            [{"$set": fields}],
            return_document=ReturnDocument.AFTER,
            session=session,
        )
        return _user(document) if document else None

    async def hold(self, user_id: str, session: Session) -> User | None:
        """Read a user inside a transaction so that no other one deletes or changes it meanwhile."""
        document = await self._users.find_one_and_update(
            {"userId": user_id}, {"$inc": {"holds": 1}}, session=session
        )
        return _user(document) if document else None

    async def archive(self, user_id: str, session: Session) -> bool:
        """Move a user out of every read, inside a transaction; False if there is no such user."""
        document = await self._users.find_one_and_delete({"userId": user_id}, session=session)
        if document is None:
            return False
        await self._counters.leave([document], session)
        document.pop(COUNTED_AS, None)
        await self._archive.insert_one({**document, "archivedAt": utc_now()}, session=session)
        return True

    async def page(self, where: UserFilter, number: int, limit: int) -> UserPage:
        """One page by number, counted from 1."""
        total = await self._total(where)
        skip = (number - 1) * limit
        documents = await self._find(_query(where), where, limit + 1, skip) if skip < total else []
        return _as_page(documents, where, number, limit, total)

    async def page_after(self, where: UserFilter, token: str, limit: int) -> UserPage:
        """The page a token leads to. Raises InvalidRequest where it is none of this list."""
        position = paging.decode(token, where.as_dict())

        async def find(part: Document, count: int) -> list[Document]:
            return await self._find(part, where, count)

        documents = await paging.read(find, _query(where), position, "createdAt", limit)
        number = min(position.page + 1, paging.MAX_PAGE)
        total = position.total
        if total is None or where.by_status_only:
            total = await self._total(where)
        return _as_page(documents, where, number, limit, total)

    async def _total(self, where: UserFilter) -> int:
        """How many users pass the filters, at this moment."""
        if where.by_status_only:
            totals = await self._counters.totals()
            return sum(n for (status,), n in totals.items() if where.status in {None, status})
        return await self._users.count_documents(
            _query(where), collation=_collation(where), hint=_index(where)
        )

    async def _find(
        self, query: Document, where: UserFilter, count: int, skip: int = 0
    ) -> list[Document]:
        cursor = self._users.find(query, collation=_collation(where)).sort(_NEWEST_FIRST)
        return await cursor.hint(_index(where)).skip(skip).limit(count).to_list(None)


def _as_page(
    documents: list[Document], where: UserFilter, number: int, limit: int, total: int
) -> UserPage:
    users = [_user(document) for document in documents[:limit]]
    # What a tally does not tell is counted for the first page of a walk, not for each.
    told = None if where.by_status_only else total
    token = paging.next_token(documents, limit, "createdAt", where.as_dict(), number, told)
    return UserPage(users, number, total, limit, token)


def _query(where: UserFilter) -> Document:
    return _without_none(
        {
            "status": where.status,
            "profile.city": where.city,
            "profile.riskTolerance": where.risk_tolerance,
        }
    )


def _collation(where: UserFilter) -> Collation | None:
    return _ANY_CASE if where.city is not None else None


def _index(where: UserFilter) -> str:
    if where.city is not None:
        return _CITY_INDEX
    if where.status is not None:
        return _STATUS_INDEX
    return _ALL_INDEX if where.risk_tolerance is None else _RISK_INDEX


def _without_none(document: Document) -> Document:
    return {key: value for key, value in document.items() if value is not None}


def _stored(value: Any) -> Any:
    """A value as MongoDB keeps it: a date is its midnight in UTC."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    return value


def _new_document(new: NewUser) -> Document:
    now = utc_now()
    return {
        "_id": ObjectId(),
        "userId": new.user_id,
        "email": new.email,
        "profile": _profile_document(new.profile),
        "preferences": {
            "currency": new.preferences.currency,
            "language": new.preferences.language,
            "notifications": {
                "email": new.preferences.notifications.email,
                "sms": new.preferences.notifications.sms,
                "push": new.preferences.notifications.push,
            },
        },
        "status": "active",
        "emailVerified": False,
        "metadata": _without_none(
            {
                "source": new.metadata.source,
                "referralCode": new.metadata.referral_code,
                "tags": list(new.metadata.tags),
            }
        ),
        "createdAt": now,
        "updatedAt": now,
    }


def _profile_document(profile: Profile) -> Document:
    return _without_none(
        {
            "firstName": profile.first_name,
            "lastName": profile.last_name,
            "dateOfBirth": _stored(profile.date_of_birth),
            "phoneNumber": profile.phone_number,
            "city": profile.city,
            "country": profile.country,
            "income": profile.income,
            "riskTolerance": profile.risk_tolerance,
        }
    )


def _user(document: Mapping[str, Any]) -> User:
    """A document as a user; what another tool left out has its default."""
    profile = document.get("profile") or {}
    preferences = document.get("preferences") or {}
    notifications = preferences.get("notifications") or {}
    metadata = document.get("metadata") or {}
    born = profile.get("dateOfBirth")
    income = profile.get("income")
    created = document.get("createdAt") or document["_id"].generation_time
    default = Preferences()
    return User(
        id=str(document["_id"]),
        user_id=document["userId"],
        email=document["email"],
        profile=Profile(
            first_name=profile.get("firstName"),
            last_name=profile.get("lastName"),
            date_of_birth=born.date() if isinstance(born, datetime) else None,
            phone_number=profile.get("phoneNumber"),
            city=profile.get("city"),
            country=profile.get("country"),
            income=None if income is None else float(income),
            risk_tolerance=profile.get("riskTolerance"),
        ),
        preferences=Preferences(
            currency=preferences.get("currency", default.currency),
            language=preferences.get("language", default.language),
            notifications=Notifications(
                email=notifications.get("email", default.notifications.email),
                sms=notifications.get("sms", default.notifications.sms),
                push=notifications.get("push", default.notifications.push),
            ),
        ),
        status=document.get("status", "active"),
        email_verified=document.get("emailVerified", False),
        metadata=Metadata(
            source=metadata.get("source"),
            referral_code=metadata.get("referralCode"),
            tags=tuple(metadata.get("tags") or ()),
        ),
        created_at=created,
        updated_at=document.get("updatedAt") or created,
    )
