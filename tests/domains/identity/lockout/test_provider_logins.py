"""A login at a provider that may be begun for one user alone signs in nobody else."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from server.core.users import User
from server.domains.identity.credentials.challenges.store import ChallengeStore
from server.domains.identity.errors import ExternalLoginFailed
from server.domains.identity.external.links import ExternalLinks
from server.domains.identity.external.model import Claims, ProviderReply, SignedInThere, Wanted
from server.domains.identity.external.service import ExternalLogins
from server.domains.identity.providers import Provider
from server.domains.identity.sessions.model import Caller
from server.domains.identity.signin.model import Challenged
from server.domains.users.service import UserDirectory
from server.domains.users.store import USERS
from server.storage.changes import RecordedChanges
from tests.domains.identity.lockout.world import SECRET, World

REDIRECT = "https://app.example/callback"
WANTED = Wanted("token", Caller("192.0.2.1", None))


@dataclass
class Client:
    """`ProviderClient` of a provider at which this user comes back."""

    sub: str = ""
    provider: Provider = field(
        default_factory=lambda: Provider(
            "one", "One", "issuer", "id", "secret", "openid", (REDIRECT,)
        )
    )

    async def metadata(self) -> None: ...

    async def address(self, *parts: str) -> str:
        return "https://one.example"

    async def check_issuer(self, issuer: str | None) -> None: ...

    async def redeem(self, *parts: str) -> SignedInThere:
        return SignedInThere(self.sub, {}, None)

    async def facts(self, there: SignedInThere) -> Claims:
        return Claims(there.sub)


@dataclass
class Completed:
    """`Completion` that notes whom it was asked to sign in."""

    users: list[str] = field(default_factory=list)

    async def complete(self, user: User, *others: Any) -> Challenged:
        self.users.append(user.user_id)
        return Challenged("id", (), user.created_at)


async def test_a_login_that_is_for_one_user_signs_in_nobody_else(world: World) -> None:
    ann, _ = await world.user("ann"), await world.user("bob")
    changes, nothing = RecordedChanges(world.database, world.trail), cast("Any", None)
    users, client, completed = UserDirectory(world.users), Client(), Completed()
    links = ExternalLinks(
        changes, users, world.accounts, nothing, nothing, nothing, nothing, nothing,
        is_open=True, providers=frozenset({"one"}),
    )  # fmt: skip
    logins = ExternalLogins(
        [cast("Any", client)], ChallengeStore(world.database, SECRET), changes, users, links,
        cast("Any", completed), world.clock,
    )  # fmt: skip

    async def come(sub: str, only: str | None) -> None:
        begun = await logins.start("one", REDIRECT, "login", None, only)
        client.sub = sub
        reply = ProviderReply("code", begun.state, begun.login_secret, None)
        await logins.complete("one", reply, WANTED, None)

    await come("ann", ann.id)
    await come("bob", None)
    assert completed.users == ["ann", "bob"]
    for sub in ("bob", "nobody"):
        with pytest.raises(ExternalLoginFailed):
            await come(sub, ann.id)
    assert completed.users == ["ann", "bob"]
    assert await world.database.collection(USERS).count_documents({}) == 2  # nobody was made
