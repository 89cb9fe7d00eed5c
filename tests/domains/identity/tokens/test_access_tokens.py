"""What access tokens say, that others can verify them, and what a worker remembers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest

from server.core.errors import TokenExpired
from server.core.principals import Role
from server.domains.identity.tokens import service
from server.domains.identity.tokens.model import Facts
from server.storage.driver import Database
from tests.domains.identity.tokens.workers import (
    ASHA,
    ISSUER,
    LIFE,
    SECRET,
    TurnableClock,
    Worker,
    parts,
    worker,
)

ALGORITHMS: dict[str, dict[str, Any]] = {
    "ES256": {},
    "RS256": {"jwt_algorithm": "RS256"},
    "HS256": {"jwt_secret": SECRET},
}


@pytest.fixture(params=ALGORITHMS)
def any_worker(database: Database, clock: TurnableClock, request: pytest.FixtureRequest) -> Worker:
    return worker(database, clock, **ALGORITHMS[request.param])


async def test_a_token_says_what_the_contract_says(any_worker: Worker) -> None:
    before = any_worker.kernel.clock.now()
    token, expires_in = await any_worker.tokens.issue(ASHA)
    after = any_worker.kernel.clock.now()
    header, claims = parts(token)
    algorithm = any_worker.tokens._algorithm
    assert header == {"typ": "at+jwt", "alg": algorithm, "kid": header["kid"]}
    assert claims == {
        "iss": ISSUER, "aud": "finlink", "sub": ASHA.user, "userId": "asha", "sid": "s-1",
        "role": "moderator", "amr": ["pwd", "totp"], "auth_time": 1768473000,
        "iat": claims["iat"], "exp": int(claims["iat"]) + 900,
    }  # fmt: skip
    assert expires_in == 900
    assert isinstance(claims["exp"], int)
    assert before <= datetime.fromtimestamp(claims["iat"], UTC) <= after
    assert len(token) < 1024

    bearer = await any_worker.tokens.by_token(token)
    assert Facts(bearer.user, bearer.user_id, bearer.session_id, bearer.role, bearer.amr,
                 bearer.auth_time) == ASHA  # fmt: skip
    assert (bearer.kind, bearer.role >= Role.MODERATOR) == ("token", True)
    assert bearer.expires_at == datetime.fromtimestamp(claims["exp"], UTC)


async def test_settings_are_followed(database: Database, clock: TurnableClock) -> None:
    one = worker(database, clock, access_token_expire_minutes=1, jwt_audience="app")
    token, expires_in = await one.tokens.issue(ASHA)
    assert (expires_in, parts(token)[1]["aud"]) == (60, "app")
    await one.tokens.by_token(token)
    clock.turn(timedelta(seconds=91))
    with pytest.raises(TokenExpired):
        await one.tokens.by_token(token)


async def test_another_library_verifies_it(any_worker: Worker) -> None:
    token = await any_worker.issue()
    header, claims = parts(token)
    jwks: Any = await any_worker.tokens.jwks()
    key: Any = SECRET
    if header["alg"] == "HS256":
        assert jwks == {"keys": []}, "the secret is for nobody"
    else:
        (public,) = jwks["keys"]
        assert (public["kid"], public["alg"], public["use"]) == (
            header["kid"],
            header["alg"],
            "sig",
        )
        own = {"EC": {"crv", "x", "y"}, "RSA": {"n", "e"}}[public["kty"]]
        assert public.keys() == {"kty", "kid", "alg", "use"} | own
        key = jwt.PyJWKSet.from_dict(jwks)[header["kid"]]
    options: Any = {"require": list(claims)}
    verified = jwt.decode(
        token, key, algorithms=[header["alg"]], audience="finlink", issuer=ISSUER, options=options
    )
    assert verified == claims
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(
            token[:-6] + ("AAAAAA" if token[-6:] != "AAAAAA" else "BBBBBB"), key,
            algorithms=[header["alg"]], audience="finlink",
        )  # fmt: skip


async def test_a_verified_token_is_remembered_until_it_expires(
    database: Database, clock: TurnableClock
) -> None:
    one = worker(database, clock)
    token = await one.issue()
    first = await one.tokens.by_token(token)
    assert await one.tokens.by_token(token) is first
    clock.turn(LIFE)
    second = await one.tokens.by_token(token)
    assert second is not first, "past its time, but for the leeway"
    assert await one.tokens.by_token(token) is not second
    assert one.tokens._verified == {}


async def test_so_many_tokens_are_remembered_and_the_oldest_goes_first(
    database: Database, clock: TurnableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert service.MAX_VERIFIED == 20_000
    monkeypatch.setattr(service, "MAX_VERIFIED", 20)
    one = worker(database, clock, jwt_secret=SECRET)
    issued = [
        await one.issue(Facts(f"u-{n}", f"u{n}", f"s-{n}", Role.USER, (), ASHA.auth_time))
        for n in range(service.MAX_VERIFIED + 1)
    ]
    oldest, second, *_ = [await one.tokens.by_token(token) for token in issued]
    assert len(one.tokens._verified) == 20
    assert await one.tokens.by_token(issued[1]) is second
    assert await one.tokens.by_token(issued[0]) is not oldest
    assert len(one.tokens._verified) == 20


async def test_a_stream_ends_when_its_token_does(database: Database, clock: TurnableClock) -> None:
    one = worker(database, clock)
    bearer = await one.tokens.by_token(await one.issue())
    one.tokens.check(bearer)
    clock.turn(LIFE)
    with pytest.raises(TokenExpired):
        one.tokens.check(bearer)
