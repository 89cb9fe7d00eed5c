"""Tokens of mails in MongoDB: collection `challenges`, under the SHA-256 of the token; and counts of mails.

A token has 256 random bits, so a plain hash is enough.
"""

import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from bson import ObjectId
from pymongo import DESCENDING, IndexModel

from server.core.clock import utc_now
from server.domains.identity.credentials.challenges.store import CHALLENGES
from server.domains.identity.recovery.model import MAILS_AN_HOUR, Counted, Kind, MailToken
from server.security.encryption import Vault
from server.storage.driver import ClientSession, Database, Document
from server.storage.updates import upsert

MAIL_COUNTS = "mail_counts"
INDEXES: Mapping[str, Sequence[IndexModel]] = {
    MAIL_COUNTS: [IndexModel("expiresAt", expireAfterSeconds=0)]
}
_MOST_READ = 100
_HOUR = timedelta(hours=1)


class MailCountStore:
    """Counts of mails that strangers can have sent: collection `mail_counts`, which all hosts share.

    There is a document for each address and kind, under an HMAC of both. A change is one command that counts
    only what may pass, so of many at once no more are let through. Driver errors pass through.
    """

    def __init__(self, database: Database, key: bytes) -> None:
        """`key`: 32 bytes, that hash addresses."""
        self._counts = database.collection(MAIL_COUNTS)
        self._key = key

    async def take(
        self, kind: Counted, address: str, now: datetime, session: ClientSession | None = None
    ) -> bool:
        """Count a mail, if one more of this kind may be sent to an address; whether it may.

        Of this kind alone: mails of one kind, which strangers may ask for, must not use up those of another.
        """
        recent = {
            "$filter": {
                "input": {"$ifNull": ["$sent", []]},
                "cond": {"$gt": ["$$this", now - _HOUR]},
            }
        }
        document = await upsert(
            self._counts,
            hmac.digest(self._key, f"mails {kind} {address}".encode(), "sha256").hex(),
            {"sent": recent},
            {"passes": {"$lt": [{"$size": "$sent"}, MAILS_AN_HOUR]}},
            {
                "sent": {"$cond": ["$passes", {"$concatArrays": ["$sent", [now]]}, "$sent"]},
                "expiresAt": {"$cond": ["$passes", now + _HOUR, "$expiresAt"]},
            },
            session=session,
        )
        return bool(document["passes"])


class TokenStore:
    """Driver errors pass through."""

    def __init__(self, database: Database, key: bytes) -> None:
        """`key`: 32 bytes, that seal what tokens stand for and hash addresses."""
        self._collection = database.collection(CHALLENGES)
        self._vault = Vault(key)
        self._key = key

    def subject(self, address: str) -> str:
        """The name of an address in this collection: nobody who reads it learns the address."""
        return hmac.new(self._key, f"address {address}".encode(), hashlib.sha256).hexdigest()

    async def add(self, token: MailToken, session: ClientSession) -> str:
        """The text of a new token."""
        text = secrets.token_urlsafe(32)
        name = _name(text)
        document: Document = {
            "_id": name,
            "kind": token.kind,
            "subject": token.subject,
            "data": self._vault.seal(token.data, place=name),
            "createdAt": utc_now(),
            "expiresAt": token.expires_at,
        }
        if token.user is not None:
            document["user"] = ObjectId(token.user)
        await self._collection.insert_one(document, session=session)
        return text

    async def find(self, text: str, *kinds: Kind) -> MailToken | None:
        """A token that holds; it stays good."""
        document = await self._collection.find_one(_holding(text, kinds))
        return self._read(document) if document else None

    async def take(
        self, text: str, kinds: Sequence[Kind], session: ClientSession
    ) -> MailToken | None:
        """A token that holds, which from then on does not: of two at once one gets it."""
        document = await self._collection.find_one_and_update(
            _holding(text, kinds), {"$set": {"usedAt": utc_now()}}, session=session
        )
        return self._read(document) if document else None

    async def newest(
        self, kind: Kind, subject: str, session: ClientSession | None = None
    ) -> Sequence[MailToken]:
        """The newest tokens of a kind for an address that hold: more than it gets mails a day."""
        found = self._collection.find(
            {"subject": subject, "kind": kind, "expiresAt": {"$gt": utc_now()}, "usedAt": None},
            session=session,
        )
        documents = await found.sort("createdAt", DESCENDING).limit(_MOST_READ).to_list(None)
        return [self._read(document) for document in documents]

    async def end_all(self, user: str, session: ClientSession) -> None:
        """Let no token of a user hold any more."""
        await self._collection.update_many(
            {"user": ObjectId(user), "usedAt": None},
            {"$set": {"usedAt": utc_now()}},
            session=session,
        )

    async def remove_all(self, user: str, session: ClientSession) -> None:
        await self._collection.delete_many({"user": ObjectId(user)}, session=session)

    def _read(self, document: Document) -> MailToken:
        user = document.get("user")
        return MailToken(
            document["kind"],
            document["subject"],
            document["expiresAt"],
            None if user is None else str(user),
            self._vault.open(document["data"], place=document["_id"]),
        )


def _holding(text: str, kinds: Sequence[Kind]) -> Document:
    return {
        "_id": _name(text),
        "kind": {"$in": list(kinds)},
        "expiresAt": {"$gt": utc_now()},
        "usedAt": None,
    }


def _name(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
