"""What Zerodha's answers mean, as seen by a caller of the adapter."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from server.platforms.base import (
    PermissionRefused,
    PlatformDataError,
    PlatformError,
    PlatformUnavailable,
    SessionEnded,
)
from tests.platforms.scripted import Say, read
from tests.platforms.zerodha.test_adapter import HTML, SESSION, failure, success, zerodha

Clock = Callable[[], datetime]


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (failure(403, "TokenException"), SessionEnded),
        (failure(200, "TokenException"), SessionEnded),
        (failure(403, "UserException"), SessionEnded),
        (failure(403, "TwoFAException"), SessionEnded),
        (failure(400, "InputException", "Invalid `api_key` or `access_token`."), SessionEnded),
        (failure(400, "InputException", "Missing `order_id`."), PlatformDataError),
        (failure(403, "PermissionException"), PermissionRefused),
        (failure(403, "PermissionError"), PermissionRefused),
        (failure(400, "OrderException"), PlatformDataError),
        (failure(500, "OrderException"), PlatformUnavailable),
        (failure(400, "MarginException"), PlatformDataError),
        (failure(500, "HoldingException"), PlatformUnavailable),
        (failure(503, "NetworkException"), PlatformUnavailable),
        (failure(400, "NetworkException"), PlatformUnavailable),
        (failure(502, "DataException"), PlatformUnavailable),
        (failure(500, "GeneralException"), PlatformUnavailable),
        (failure(404, "GeneralException"), PlatformDataError),
        (failure(500, "NewException"), PlatformUnavailable),
        (failure(429, "NetworkException"), PlatformUnavailable),
        (failure(429, "InputException"), PlatformUnavailable),
        (Say(429, b""), PlatformUnavailable),
        (Say(503, b"<html>"), PlatformUnavailable),
        (HTML, PlatformDataError),
        (Say(403, b"<html>"), PlatformDataError),
        (Say(302, b"", {"Location": "/"}), PlatformDataError),
        (Say(404, {"message": "nothing here"}), PlatformDataError),
        (Say(200, {"status": "success"}), PlatformDataError),
        (Say(200, {"error_type": "TokenException"}), SessionEnded),
        (Say(200, {"error_type": 5}), PlatformUnavailable),
        (Say(200, []), PlatformDataError),
        (success({"user_id": 5}), PlatformDataError),
    ],
)
async def test_what_a_reply_means(clock: Clock, reply: Say, error: type[PlatformError]) -> None:
    async with zerodha(clock, reply) as (adapter, server):
        with pytest.raises(error) as caught:
            await read(adapter, SESSION, "profile")
    assert len(server.asked) == (3 if error is PlatformUnavailable else 1)
    assert not any(secret in str(caught.value) for secret in ("demo_secret", "at1", "No."))


async def test_the_wait_zerodha_asks_for_is_passed_on(clock: Clock) -> None:
    async with zerodha(clock, failure(429, "NetworkException", Retry_After="30")) as (
        adapter,
        server,
    ):
        with pytest.raises(PlatformUnavailable) as caught:
            await read(adapter, SESSION, "profile")
    assert caught.value.retry_after == timedelta(seconds=30)
    assert len(server.asked) == 1
