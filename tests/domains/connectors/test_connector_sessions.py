"""Sessions at platforms: sealed for one place, renewed, expired, ended."""

from __future__ import annotations

import asyncio
import dataclasses
from datetime import timedelta
from typing import Any

import pytest
import structlog
from msgspec.structs import replace

from server.core.clock import utc_now
from server.domains.connectors.connections.sessions import SessionVault
from server.domains.connectors.connections.store import CONNECTORS
from server.domains.connectors.errors import (
    AlreadyConnected,
    InvalidCredentials,
    NotConnected,
    PlatformNotAvailable,
    ReauthRequired,
)
from server.domains.connectors.model import REFRESH_REUSE, Connector
from server.domains.users.errors import UserNotFound
from server.platforms.base import LoginRequired, PlatformSession, PlatformUnavailable
from server.security.encryption import Undecipherable
from server.security.ring import KeyRing
from server.storage.data_keys import DataKeyStore
from tests.domains.connectors.sync_world import ALL, Checkpoint, World

LOGIN_PAGE = "https://platform.test/login"


async def stored(world: World) -> int:
    return await world.database.collection(CONNECTORS).count_documents({})


# The vault


async def test_a_session_opens_where_it_was_sealed(world: World) -> None:
    connector = await world.connected()
    session = await world.sessions.open(connector)
    assert session.secrets == {"token": "tok_1"}
    assert (session.platform_user_id, session.account_type) == ("AB1234", "individual")
    assert session.expires_at == connector.session.expires_at


def with_session(connector: Connector, **changes: Any) -> Connector:
    return replace(connector, session=replace(connector.session, **changes))


async def test_a_session_opens_nowhere_else(world: World) -> None:
    connector = await world.connected()
    another = await world.connected()
    key = await world.sessions.key_of(connector)
    login = world.sessions.seal_login(key, LoginRequired(LOGIN_PAGE, {"pending": "p"}))
    for moved in (
        replace(connector, user_id="another_user"),
        replace(connector, platform="zerodha"),
        with_session(connector, sealed=another.session.sealed),
        with_session(connector, sealed=login),
        with_session(connector, sealed=None),
        with_session(connector, sealed="not sealed by us"),
    ):
        with pytest.raises(Undecipherable):
            await world.sessions.open(moved)
    wrong = DataKeyStore(world.database, KeyRing({"one": bytes(32)}))
    with pytest.raises(Undecipherable):
        await SessionVault(wrong).open(connector)


async def test_a_login_opens_nowhere_else_either(world: World) -> None:
    connector = await world.connected()
    key = await world.sessions.key_of(connector)
    sealed = world.sessions.seal_login(key, LoginRequired(LOGIN_PAGE, {"pending": "p"}))
    pending = with_session(connector, sealed_login=sealed)
    login = await world.sessions.open_login(pending)
    assert login == LoginRequired(LOGIN_PAGE, {"pending": "p"})
    assert await world.sessions.login_url(pending) == LOGIN_PAGE
    assert await world.sessions.open_login(connector) is None
    for moved in (
        replace(pending, user_id="another_user"),
        replace(pending, platform="zerodha"),
        with_session(pending, sealed_login=connector.session.sealed),
    ):
        assert await world.sessions.open_login(moved) is None
        assert await world.sessions.login_url(moved) is None


async def test_session_ids_open_nothing_and_do_not_repeat(world: World) -> None:
    key = await world.sessions.key_of(await world.connected())
    session = PlatformSession("AB1234", "individual", utc_now(), {"token": "tok_1"})
    sealed = [world.sessions.seal(key, session) for _ in range(50)]
    assert len({each.session_id for each in sealed}) == 50
    assert all(each.session_id.startswith("sess_") for each in sealed)
    assert all("tok_1" not in each.session_id + each.sealed_session for each in sealed)


# Connecting


async def test_of_two_connects_at_once_one_wins(world: World) -> None:
    user_id = await world.user()
    replies = await asyncio.gather(
        *(world.connect(user_id, "fi_money", ALL, {}) for _ in range(5)),
        return_exceptions=True,
    )
    refused = [reply for reply in replies if isinstance(reply, BaseException)]
    assert len(refused) == 4
    assert {type(error) for error in refused} == {AlreadyConnected}
    assert await stored(world) == 1


async def test_a_connect_whose_user_is_deleted_meanwhile_stores_nothing(world: World) -> None:
    user_id = await world.user()

    class Slow:
        def __init__(self) -> None:
            self.checkpoint = Checkpoint()

        async def connect(self, credentials: dict[str, str]) -> PlatformSession:
            await self.checkpoint()
            return world.platform.session()

    slow = Slow()
    world.platform.connect = slow.connect  # type: ignore[method-assign,assignment]
    connecting = asyncio.create_task(world.connect(user_id, "fi_money", ALL, {}))
    async with asyncio.timeout(10):
        await slow.checkpoint.reached.wait()
        await world.user_service.delete(user_id)
        slow.checkpoint.opened.set()
        with pytest.raises(UserNotFound):
            await connecting
    assert await stored(world) == 0
    # What was opened at the platform is not left behind.
    assert [session.secrets["token"] for session in world.platform.logged_out] == ["tok_1"]


async def test_refused_credentials_store_nothing(world: World) -> None:
    user_id = await world.user()
    with pytest.raises(InvalidCredentials) as caught:
        await world.connect(user_id, "fi_money", ALL, {"password": "wrong"})
    assert [field.field for field in caught.value.fields] == ["credentials.password"]
    assert await stored(world) == 0
    # And nothing stays taken.
    await world.connect(user_id, "fi_money", ALL, {})


async def test_connected_while_suspended_it_waits_for_the_user(world: World) -> None:
    user_id = await world.user()
    await world.user_service.set_status(user_id, "suspended")
    connector, _ = await world.connect(user_id, "fi_money", ALL, {})
    assert connector.status == "connected"
    assert (connector.sync.paused, connector.sync.run, connector.sync.next_at) == (True, None, None)
    await world.user_service.set_status(user_id, "active")
    after = await world.sync(connector.id)
    assert after.history[0].status == "success"


# Refreshing


async def test_a_refresh_soon_after_another_gets_the_same_reply(world: World) -> None:
    connector = await world.synced()
    replies = await asyncio.gather(*(world.service.refresh(connector.id, {}) for _ in range(4)))
    assert len({reply.session.id for reply in replies}) == 1
    assert replies[0].session.id != connector.session.id
    assert replies[0].session.expires_at == connector.session.expires_at
    ago = utc_now() - REFRESH_REUSE
    await world.change(connector.id, {"session.refreshedAt": ago})
    later = await world.service.refresh(connector.id, {})
    assert later.session.id not in {connector.session.id, replies[0].session.id}


async def test_a_refresh_does_not_start_a_sync_or_move_the_next(world: World) -> None:
    connector = await world.synced()
    refreshed = await world.service.refresh(connector.id, {})
    assert (refreshed.sync.run, refreshed.sync.next_at) == (None, connector.sync.next_at)
    assert refreshed.session.connected_at == connector.session.connected_at


async def test_a_refresh_of_an_ended_session(world: World) -> None:
    connector = await world.synced()
    world.platform.session_over = True
    with pytest.raises(ReauthRequired) as caught:
        await world.service.refresh(connector.id, {})
    assert caught.value.metadata == {"loginUrl": LOGIN_PAGE}
    expired = await world.get(connector.id)
    assert (expired.status, expired.session.id, expired.sync.next_at) == ("expired", None, None)
    assert expired.errors[0].error_code == "REAUTH_REQUIRED"
    world.platform.session_over = False
    again = await world.service.refresh(connector.id, {"requestToken": "t"})
    assert again.status == "connected"
    assert again.sync.run is not None
    assert again.session.connected_at is not None
    assert connector.session.connected_at is not None
    assert again.session.connected_at > connector.session.connected_at
    assert (await world.sync(connector.id)).history[0].status == "success"


async def test_a_refresh_of_what_is_not_connected(world: World) -> None:
    connector = await world.synced()
    await world.service.disconnect(connector.id)
    with pytest.raises(NotConnected):
        await world.service.refresh(connector.id, {})


async def test_a_platform_that_is_away_changes_nothing(world: World) -> None:
    connector = await world.synced()
    document = await world.document(connector.id)

    async def away(session: PlatformSession) -> PlatformSession:
        raise PlatformUnavailable("Away", retry_after=timedelta(seconds=7))

    world.platform.renew = away  # type: ignore[method-assign]
    with pytest.raises(PlatformNotAvailable) as caught:
        await world.service.refresh(connector.id, {})
    assert caught.value.retry_after == timedelta(seconds=7)
    assert await world.document(connector.id) == document


async def test_a_login_completed_by_somebody_else_is_refused(world: World) -> None:
    connector = await world.synced()
    world.platform.session_over = True
    await world.sync(connector.id)
    world.platform.session_over = False

    async def stranger(secrets: object, credentials: object) -> PlatformSession:
        return dataclasses.replace(world.platform.session(), platform_user_id="ZZ9999")

    world.platform.complete = stranger  # type: ignore[method-assign]
    with pytest.raises(InvalidCredentials):
        await world.service.refresh(connector.id, {"requestToken": "t"})
    assert (await world.get(connector.id)).status == "expired"
    assert [session.platform_user_id for session in world.platform.logged_out] == ["ZZ9999"]


# Logins that are pending


async def test_a_pending_login_from_begin_to_end(world: World) -> None:
    world.platform.wants_login = True
    user_id = await world.user()
    pending, login_url = await world.connect(user_id, "fi_money", ALL, {})
    assert (pending.status, login_url) == ("disconnected", LOGIN_PAGE)
    assert (pending.session.id, pending.sync.run, pending.sync.next_at) == (None, None, None)
    with pytest.raises(ReauthRequired) as caught:
        await world.sync_service.trigger(pending.id, [], force=True)
    assert caught.value.metadata == {"loginUrl": LOGIN_PAGE}
    with pytest.raises(ReauthRequired):
        await world.service.refresh(pending.id, {})
    done = await world.service.refresh(pending.id, {"requestToken": "t"})
    assert (done.id, done.status, done.login_pending) == (pending.id, "connected", False)
    assert (await world.sync(done.id)).history[0].status == "success"


async def test_a_pending_login_is_given_up(world: World) -> None:
    world.platform.wants_login = True
    user_id = await world.user()
    pending, _ = await world.connect(user_id, "fi_money", ALL, {})
    ended = await world.service.disconnect(pending.id)
    assert (ended.status, ended.login_pending) == ("disconnected", False)
    assert [login.secrets for login in world.platform.abandoned] == [{"pending": "p1"}]
    assert await world.service.disconnect(pending.id) == ended
    with pytest.raises(NotConnected):
        await world.sync_service.trigger(pending.id, [], force=True)


async def test_a_pending_login_begins_again(world: World) -> None:
    world.platform.wants_login = True
    user_id = await world.user()
    first, _ = await world.connect(user_id, "fi_money", ALL, {})
    second, _ = await world.connect(user_id, "fi_money", ["trades"], {})
    assert second.id == first.id
    assert second.permissions == ("trades",)
    world.platform.wants_login = False
    third, login_url = await world.connect(user_id, "fi_money", ALL, {})
    assert (third.id, third.status, login_url) == (first.id, "connected", None)


# Ending


async def test_a_disconnect_ends_the_session_at_the_platform_too(world: World) -> None:
    connector = await world.synced()
    ended = await world.service.disconnect(connector.id)
    assert [session.secrets for session in world.platform.logged_out] == [{"token": "tok_1"}]
    assert await world.service.disconnect(connector.id) == ended
    assert len(world.platform.logged_out) == 1


async def test_a_disconnect_does_not_depend_on_the_platform(world: World) -> None:
    connector = await world.synced()

    async def away(session: PlatformSession) -> None:
        raise PlatformUnavailable("Away")

    world.platform.disconnect = away  # type: ignore[method-assign]
    with structlog.testing.capture_logs() as logs:
        assert (await world.service.disconnect(connector.id)).status == "disconnected"
    assert "platform logout failed" in {line["event"] for line in logs}


async def test_a_deleted_user_s_sessions_are_ended_and_destroyed(world: World) -> None:
    connector = await world.synced()
    await world.user_service.delete(connector.user_id)
    assert [session.secrets for session in world.platform.logged_out] == [{"token": "tok_1"}]
    assert await stored(world) == 0


async def test_reconnecting_keeps_id_history_and_records(world: World) -> None:
    connector = await world.synced()
    await world.service.disconnect(connector.id)
    again, _ = await world.connect(connector.user_id, "fi_money", ["trades"], {})
    assert again.id == connector.id
    assert again.session.id not in {None, connector.session.id}
    assert (again.history, again.totals.runs) == (connector.history, 1)
    assert (again.permissions, again.sync.data_types) == (("trades",), ("trades",))
    assert again.session.disconnected_at is None
    assert sum((await world.kept(connector.id)).values()) == 7
