"""Signing in at an outside provider (OpenID Connect, authorization code with PKCE)."""

import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

import structlog

from server.core.authorization import check_recent_login
from server.core.clock import Clock
from server.core.errors import InvalidRequest, PermissionDenied, Unauthenticated, Unavailable
from server.core.principals import SignedIn
from server.core.users import UserExists
from server.domains.identity.credentials.accounts.model import Account
from server.domains.identity.credentials.challenges.model import Challenge, NewChallenge
from server.domains.identity.credentials.challenges.store import ChallengeStore
from server.domains.identity.errors import ExternalLoginFailed, ProviderNotFound, UserNotActive
from server.domains.identity.external.client import ProviderClient
from server.domains.identity.external.links import ExternalLinks, key_of
from server.domains.identity.external.model import (
    LIFE,
    ExternalFailure,
    Linked,
    ProviderDown,
    ProviderReply,
    Purpose,
    SignedInThere,
    Started,
    Wanted,
)
from server.domains.identity.providers import Provider
from server.domains.identity.signin import metrics
from server.domains.identity.signin.completion import Completion
from server.domains.identity.signin.model import Challenged, Opened, Proof
from server.kernel import Users
from server.storage.changes import RecordedChanges
from server.storage.driver import ClientSession

_KIND: Final = "external"
_RANDOM_BYTES = 32
_log = structlog.stdlib.get_logger("finlink.identity")


class ExternalLogins:
    def __init__(
        self,
        clients: Sequence[ProviderClient],
        challenges: ChallengeStore,
        changes: RecordedChanges,
        users: Users,
        links: ExternalLinks,
        completion: Completion,
        clock: Clock,
    ) -> None:
        self._clients: Mapping[str, ProviderClient] = {each.provider.name: each for each in clients}
        self._challenges = challenges
        self._changes = changes
        self._users = users
        self._links = links
        self._completion = completion
        self._clock = clock

    @property
    def providers(self) -> list[Provider]:
        return [each.provider for each in self._clients.values()]

    async def start(
        self,
        name: str,
        redirect_uri: str,
        purpose: Purpose,
        signed_in: SignedIn | None,
        only: str | None = None,
    ) -> Started:
        """Begin a login. `state` names it, and who has `login_secret` can complete it.

        `only` is the `User.id` of whom it may sign in, if it may be begun for that user alone.

        Raises ProviderNotFound, InvalidRequest for an address that is not the provider's, Unavailable;
        for a link Unauthenticated and RecentLoginRequired.
        """
        client = self._client(name)
        if redirect_uri not in client.provider.redirects:
            raise InvalidRequest.of("redirectUri", "must be one that is configured, exactly")
        user = self._linking(signed_in) if purpose == "link" else None
        secret, nonce, verifier = (secrets.token_urlsafe(_RANDOM_BYTES) for _ in range(3))
        until = self._clock.now() + LIFE
        new = NewChallenge(
            kind=_KIND,
            expires_at=until,
            user=user,
            code=secret,
            data={
                "provider": name,
                "redirectUri": redirect_uri,
                "nonce": nonce,
                "verifier": verifier,
                **({"only": only} if only else {}),
            },
        )
        with self._failing(name, "start"):
            await client.metadata()

        async def work(session: ClientSession) -> str:
            return (await self._challenges.add(new, session)).id

        state = await self._changes.make(work, lambda _: [], None)
        with self._failing(name, "start"):
            address = await client.address(redirect_uri, state, nonce, verifier)
        return Started(address, state, secret, until)

    async def complete(
        self, name: str, reply: ProviderReply, wanted: Wanted, signed_in: SignedIn | None
    ) -> Opened | Challenged | Linked:
        """Complete a login: a session, a challenge, or a link. Each is completed once, however it ends.

        Raises ProviderNotFound; ExternalLoginFailed for whatever is wrong with the reply; Unavailable if
        the provider cannot be asked; UserExists, PermissionDenied, UserNotActive.
        """
        client = self._client(name)
        with self._failing(name, "complete"):
            challenge = await self._begun(name, reply, signed_in)
            await client.check_issuer(reply.issuer)
            await self._spend(challenge)
            kept = challenge.data
            # A link is of the user who calls, as `_begun` has checked.
            linking = None if challenge.user is None else signed_in
            before = None if linking is None else await self._links.way_in(linking.user)
            there = await client.redeem(
                reply.code, kept["redirectUri"], kept["nonce"], kept["verifier"]
            )
            if linking is not None:
                user = await self._links.link(linking, client.provider, there.sub, before)
                return Linked(user.user_id)
            return await self._sign_in(client, there, wanted, kept.get("only"))

    async def aclose(self) -> None:
        for client in self._clients.values():
            await client.aclose()

    def _client(self, name: str) -> ProviderClient:
        client = self._clients.get(name)
        if client is None:
            raise ProviderNotFound
        return client

    def _linking(self, signed_in: SignedIn | None) -> str:
        """The `User.id` of who links a provider."""
        if signed_in is None:
            raise Unauthenticated("To link a provider, sign in and send authorization: Bearer")
        check_recent_login(signed_in, self._clock.now())
        return signed_in.user

    async def _begun(
        self, name: str, reply: ProviderReply, signed_in: SignedIn | None
    ) -> Challenge:
        """The login that is to be completed, by who began it. Raises ExternalFailure."""
        challenge = await self._challenges.attempt(reply.state, _KIND)
        if challenge is None:
            raise ExternalFailure("the state is unknown, used or expired")
        if challenge.data["provider"] != name:
            raise ExternalFailure("the state is of another provider")
        if not self._challenges.is_right(challenge, reply.login_secret):
            raise ExternalFailure("the login secret is wrong")
        if challenge.user is not None and (signed_in is None or signed_in.user != challenge.user):
            raise ExternalFailure("the link is of another user")
        return challenge

    async def _spend(self, challenge: Challenge) -> None:
        """Before the code is shown to the provider, so that two calls at once show it once."""

        async def work(session: ClientSession) -> bool:
            return await self._challenges.spend(challenge, session)

        if not await self._changes.make(work, lambda _: [], None):
            raise ExternalFailure("the state has just been used")

    async def _sign_in(
        self, client: ProviderClient, there: SignedInThere, wanted: Wanted, only: str | None
    ) -> Opened | Challenged:
        key = key_of(client.provider, there.sub)
        account = await self._links.account_of(key)
        if only is not None and (account is None or account.id != only):
            raise ExternalFailure("from a refused address only who is known may sign in")
        if account is None:
            account = await self._links.create(client.provider, key, await client.facts(there))
        user = await self._users.find("id", account.id)
        if user is None:
            raise ExternalFailure("the user is gone")

        async def within(now: Account, _: ClientSession) -> None:
            if all(each.key != key for each in now.externals):
                raise ExternalFailure("the provider was unlinked meanwhile")

        proof = Proof((_KIND,), wanted.session, wanted.caller, wanted.device_name)
        result = await self._completion.complete(user, account, proof, within)
        outcome = "succeeded" if isinstance(result, Opened) else "challenged"
        metrics.LOGINS.labels(_KIND, outcome).inc()
        return result

    @contextmanager
    def _failing(self, name: str, call: str) -> Iterator[None]:
        """Callers do not hear why it failed; the log does."""
        try:
            yield
        except ExternalFailure as error:
            metrics.LOGINS.labels(_KIND, "failed").inc()
            _log.warning("external login failed", provider=name, call=call, cause=str(error))
            if call == "start":
                raise Unavailable("The provider cannot be used now") from None
            raise ExternalLoginFailed from None
        except ProviderDown as error:
            metrics.LOGINS.labels(_KIND, "unavailable").inc()
            _log.warning("provider unavailable", provider=name, call=call, cause=str(error))
            raise Unavailable("The provider cannot be reached; begin the login again") from None
        except UserNotActive:
            metrics.LOGINS.labels(_KIND, "not_active").inc()
            raise
        except (UserExists, PermissionDenied):
            metrics.LOGINS.labels(_KIND, "failed").inc()
            raise
