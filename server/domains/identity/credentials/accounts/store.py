"""Accounts in MongoDB: collection `credentials`, one document a user, under `User.id`."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from bson import ObjectId
from pymongo import IndexModel, ReturnDocument, UpdateOne, timeout
from pymongo.errors import DuplicateKeyError

from server.core.clock import utc_now
from server.core.model import Changes
from server.domains.identity.credentials.accounts.model import Account, External, Phone
from server.domains.identity.sessions.store import LONGEST_COUNT_SECONDS
from server.storage.driver import ClientSession, Database, Document
from server.storage.mapping import stored
from server.storage.repository import LOCK, Repository, new_id

CREDENTIALS = "credentials"
# Within that, users who are seen again are not written again.
SEEN_EVERY = timedelta(minutes=10)
INDEXES: Mapping[str, Sequence[IndexModel]] = {
    CREDENTIALS: [
        IndexModel("userId", unique=True),
        IndexModel(
            "phone.number",
            name="phone_number_if_any",
            unique=True,
            partialFilterExpression={"phone.number": {"$gt": ""}},
        ),
        IndexModel(
            "externals.key",
            unique=True,
            partialFilterExpression={"externals.key": {"$exists": True}},
        ),
        IndexModel("lastSeenAt", sparse=True),
    ]
}


class NoAccount(Exception):
    """The user has no way to sign in."""


class PhoneTaken(Exception):
    """Another account has the number."""


class ExternalTaken(Exception):
    """The account at a provider is linked to another user."""


class AccountStore(Repository[Account]):
    """Accounts, found by `User.id`."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, CREDENTIALS, Account, missing=NoAccount, taken=PhoneTaken)
        self._database = database

    async def of(self, user: str | None) -> Account | None:
        """The account of a user; None if there is none. It costs the same for no user at all."""
        return await self.find({"_id": user or new_id()})

    async def set_password(
        self, user: str, user_id: str, hashed: str, session: ClientSession
    ) -> None:
        """Give a user this password, who may have none or no account yet."""
        password = {"hash": hashed, "changedAt": utc_now()}
        await self._collection.update_one(
            {"_id": ObjectId(user)},
            {"$set": {"userId": user_id, "password": password}, "$inc": {LOCK: 1}},
            upsert=True,
            session=session,
        )

    async def remove_password(self, user: str, session: ClientSession) -> None:
        """Let nobody sign in with the password that there is."""
        await self._collection.update_one(
            {"_id": ObjectId(user)},
            {"$unset": {"password": 1}, "$inc": {LOCK: 1}},
            session=session,
        )

    async def by_number(self, number: str, session: ClientSession | None = None) -> Account | None:
        """The account that signs in with a number, in E.164."""
        return await self.find({"phone.number": number}, session)

    async def set_phone(
        self, user: str, user_id: str, phone: Phone, session: ClientSession
    ) -> Account:
        """Let a user, who may have no account yet, sign in with a number. Raises PhoneTaken."""
        stored = {"number": phone.number, "provedAt": phone.proved_at}
        with self._none_taken():
            document = await self._collection.find_one_and_update(
                {"_id": ObjectId(user)},
                {"$set": {"userId": user_id, "phone": stored}, "$inc": {LOCK: 1}},
                upsert=True,
                return_document=ReturnDocument.AFTER,
                session=session,
            )
        return self._read(document)

    async def remove_phone(self, user: str, session: ClientSession) -> None:
        """Let nobody sign in to an account with a number."""
        await self._collection.update_one(
            {"_id": ObjectId(user)},
            {"$unset": {"phone": 1}, "$inc": {LOCK: 1}},
            session=session,
        )

    async def prove_phone(self, user: str, now: datetime, session: ClientSession) -> None:
        """Note that whoever has the number is the user."""
        changes: Changes = {"phone.provedAt": now, "phone.birthTries": None}
        await self.update(user, changes, session)

    async def try_birth(self, user: str, number: str, most: int) -> int | None:
        """Count a date of birth that is tried for a number, outside of any transaction: which one this is.

        None if `most` were tried, or the number is not the user's any more.
        """
        document = await self._collection.find_one_and_update(
            {
                "_id": ObjectId(user),
                "phone.number": number,
                "phone.birthTries": {"$not": {"$gte": most}},
            },
            {"$inc": {"phone.birthTries": 1}},
            return_document=ReturnDocument.AFTER,
        )
        return int(document["phone"]["birthTries"]) if document else None

    async def renew_hash(self, user: str, hashed: str, session: ClientSession) -> None:
        """Store another hash of the same password."""
        await self._collection.update_one(
            {"_id": ObjectId(user)}, {"$set": {"password.hash": hashed}}, session=session
        )

    async def forget_devices(self, user: str, session: ClientSession) -> None:
        """Let the devices that have signed in count as strangers."""
        await self._collection.update_one(
            {"_id": ObjectId(user)}, {"$inc": {"deviceEpoch": 1}}, session=session
        )

    async def use_step(self, user: str, sealed: str, step: int, session: ClientSession) -> bool:
        """Let the codes of this app be good from the step after this; of two at once one gets True."""
        used = await self._collection.update_one(
            {
                "_id": ObjectId(user),
                "totp.sealed": sealed,
                "totp.confirmedAt": {"$ne": None},
                "totp.lastStep": {"$lt": step},
            },
            {"$set": {"totp.lastStep": step}},
            session=session,
        )
        return used.modified_count == 1

    async def use_recovery_code(self, user: str, digest: bytes, session: ClientSession) -> bool:
        """Let a recovery code be good no more; of two at once one gets True."""
        unused = {"$elemMatch": {"digest": digest, "usedAt": None}}
        used = await self._collection.update_one(
            {"_id": ObjectId(user), "recoveryCodes": unused},
            {"$set": {"recoveryCodes.$.usedAt": utc_now()}},
            session=session,
        )
        return used.modified_count == 1

    async def by_external(self, key: str) -> Account | None:
        """The account that is linked with this one of a provider."""
        document = await self._collection.find_one({"externals.key": key})
        return self._mapped.read(document) if document else None

    async def add_external(
        self, user: str, user_id: str, external: External, session: ClientSession
    ) -> None:
        """Link a user, who may have no account yet. Raises ExternalTaken."""
        try:
            await self._collection.update_one(
                {"_id": ObjectId(user)},
                {
                    "$set": {"userId": user_id},
                    "$push": {"externals": stored(external)},
                    "$inc": {LOCK: 1},
                },
                upsert=True,
                session=session,
            )
        except DuplicateKeyError:
            raise ExternalTaken from None

    async def remove_externals(
        self,
        user: str,
        session: ClientSession,
        *,
        provider: str | None = None,
        kept: str | None = None,
    ) -> None:
        """Unlink a provider, or all; but for the one of the key `kept`."""
        match: Document = {"key": {"$ne": kept}}
        if provider is not None:
            match["provider"] = provider
        await self._collection.update_one(
            {"_id": ObjectId(user)},
            {"$pull": {"externals": match}, "$inc": {LOCK: 1}},
            session=session,
        )

    async def note_seen(self, seen: Mapping[str, datetime]) -> None:
        """Users were seen at these moments: `lastSeenAt`, which outlives their sessions.

        Nothing is written of one who was seen shortly before.
        """
        writes = [
            UpdateOne(
                {"_id": ObjectId(user), "lastSeenAt": {"$not": {"$gt": at - SEEN_EVERY}}},
                {"$set": {"lastSeenAt": at}},
            )
            for user, at in seen.items()
        ]
        await self._collection.bulk_write(writes, ordered=False)

    async def count_seen(self, since: Sequence[datetime]) -> list[int]:
        """How many users were seen after each of these moments, sessions that have ended included.

        The index alone is read.
        """
        with timeout(LONGEST_COUNT_SECONDS):
            found = await self._database.aggregate(self._collection, seen_after(since))
        return [found[0][str(number)] if found else 0 for number in range(len(since))]


def seen_after(since: Sequence[datetime]) -> list[Document]:
    """The pipeline that counts users by these moments, numbered."""
    counts = {
        str(number): {"$sum": {"$cond": [{"$gt": ["$lastSeenAt", moment]}, 1, 0]}}
        for number, moment in enumerate(since)
    }
    return [
        {"$match": {"lastSeenAt": {"$gt": min(since)}}},
        {"$group": {"_id": None, **counts}},
    ]
