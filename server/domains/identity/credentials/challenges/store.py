"""Challenges in MongoDB: collection `challenges`, beside the tokens of mails, which end and go with them.

A document stays for an hour after its challenge has expired, to count those of a subject.
"""

import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import get_args

from bson import ObjectId
from pymongo import IndexModel

from server.core.clock import utc_now
from server.domains.identity.credentials.challenges.model import (
    TRIES,
    Challenge,
    Kind,
    NewChallenge,
)
from server.security.encryption import Vault
from server.storage.driver import ClientSession, Database, Document

CHALLENGES = "challenges"
INDEXES: Mapping[str, Sequence[IndexModel]] = {
    CHALLENGES: [
        IndexModel(["subject", "createdAt"], name="subject_newest"),
        IndexModel("user", sparse=True),
        IndexModel("expiresAt", expireAfterSeconds=3_600),
    ]
}


class ChallengeStore:
    """Driver errors pass through."""

    def __init__(self, database: Database, key: bytes) -> None:
        """`key`: 32 bytes, that seal the data of challenges and hash subjects and codes."""
        self._collection = database.collection(CHALLENGES)
        self._vault = Vault(key)
        self._key = key

    def subject(self, kind: str, value: str) -> str:
        """The name of a number or address in this collection: nobody who reads it learns which it is."""
        return hmac.new(self._key, f"{kind} {value}".encode(), hashlib.sha256).hexdigest()

    async def add(self, new: NewChallenge, session: ClientSession) -> Challenge:
        challenge_id = secrets.token_urlsafe(32)
        digest = None if new.code is None else self._digest(challenge_id, new.code)
        document: Document = {
            "_id": challenge_id,
            "kind": new.kind,
            "data": self._vault.seal(new.data, place=challenge_id),
            "tries": 0,
            "createdAt": utc_now(),
            "expiresAt": new.expires_at,
        }
        if new.user is not None:
            document["user"] = ObjectId(new.user)
        if new.subject is not None:
            document["subject"] = new.subject
        if digest is not None:
            document["codeDigest"] = digest
        await self._collection.insert_one(document, session=session)
        return self._read(document)

    async def sent_since(
        self, subject: str, kind: Kind, since: datetime, session: ClientSession
    ) -> Sequence[datetime]:
        """When challenges of a kind were sent to a subject since then, the first first."""
        found = self._collection.find(
            {"subject": subject, "createdAt": {"$gt": since}, "kind": kind},
            {"createdAt": 1},
            hint="subject_newest",
            session=session,
        )
        return sorted(each["createdAt"] for each in await found.to_list(None))

    async def open_until(self, subject: str) -> Sequence[datetime]:
        """When the challenges of a subject expire that can still be solved, the first to do so first."""
        query = {
            "subject": subject,
            "expiresAt": {"$gt": utc_now()},
            "usedAt": None,
            "tries": {"$lt": TRIES},
        }
        found = self._collection.find(query, {"expiresAt": 1}).hint("subject_newest")
        return sorted(each["expiresAt"] for each in await found.to_list(None))

    async def attempt(self, challenge_id: str, kind: Kind, most: int = TRIES) -> Challenge | None:
        """Count a try, outside of any transaction; None if no try is left, or the challenge does not hold."""
        document = await self._collection.find_one_and_update(
            {**_holding(challenge_id, kind), "tries": {"$lt": most}}, {"$inc": {"tries": 1}}
        )
        return self._read(document) if document else None

    def is_right(self, challenge: Challenge, code: str) -> bool:
        """Whether the code is the challenge's; compares in constant time."""
        digest = self._digest(challenge.id, code)
        return hmac.compare_digest(challenge.code_digest or b"", digest)

    async def spend(self, challenge: Challenge, session: ClientSession) -> bool:
        """Let a challenge hold no more: of two at once one gets True."""
        spent = await self._collection.update_one(
            _holding(challenge.id, challenge.kind),
            {"$set": {"usedAt": utc_now()}},
            session=session,
        )
        return spent.modified_count == 1

    async def end_all(self, user: str, session: ClientSession) -> None:
        """Let no challenge of a user hold any more; tokens of mails stay.

        Nothing is left that begins meanwhile if the transaction changes the user's account, too.
        """
        await self._collection.update_many(
            {"user": ObjectId(user), "kind": {"$in": list(get_args(Kind))}, "usedAt": None},
            {"$set": {"usedAt": utc_now()}},
            session=session,
        )

    def _digest(self, challenge_id: str, code: str) -> bytes:
        return hmac.new(self._key, f"code {challenge_id} {code}".encode(), hashlib.sha256).digest()

    def _read(self, document: Document) -> Challenge:
        user = document.get("user")
        return Challenge(
            id=document["_id"],
            kind=document["kind"],
            expires_at=document["expiresAt"],
            user=None if user is None else str(user),
            subject=document.get("subject"),
            code_digest=document.get("codeDigest"),
            data=self._vault.open(document["data"], place=document["_id"]),
        )


def _holding(challenge_id: str, kind: Kind) -> Document:
    return {
        "_id": challenge_id,
        "kind": kind,
        "expiresAt": {"$gt": utc_now()},
        "usedAt": None,
    }
