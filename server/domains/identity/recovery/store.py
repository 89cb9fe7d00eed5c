"""Tokens of mails in MongoDB: collection `challenges`, under the SHA-256 of the token.

A token has 256 random bits, so a plain hash is enough. A document stays for an hour after its token has
expired, to count the mails to an address.
"""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime

from bson import ObjectId
from pymongo import DESCENDING

from server.core.clock import utc_now
from server.domains.identity.credentials.challenges.store import CHALLENGES
from server.domains.identity.recovery.model import Kind, MailToken
from server.security.encryption import Vault
from server.storage.driver import ClientSession, Database, Document

_MOST_READ = 100


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

    async def count_since(self, subject: str, since: datetime, *kinds: Kind) -> int:
        """How many tokens of these kinds were made for an address since then.

        Of these alone: mails of one kind, which strangers may ask for, must not use up those of another.
        """
        return await self._collection.count_documents(
            {"subject": subject, "createdAt": {"$gt": since}, "kind": {"$in": list(kinds)}},
            hint="subject_newest",
        )

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

    async def newest(self, kind: Kind, subject: str) -> Sequence[MailToken]:
        """The newest tokens of a kind for an address that hold: more than it gets mails a day."""
        found = self._collection.find(
            {"subject": subject, "kind": kind, "expiresAt": {"$gt": utc_now()}, "usedAt": None}
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
