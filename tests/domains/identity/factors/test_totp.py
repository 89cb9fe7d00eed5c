"""Codes of authenticator apps, against RFC 6238 and pyotp's own."""

from __future__ import annotations

from base64 import b32encode
from datetime import UTC, datetime

import pyotp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domains.identity.credentials.factors import recovery_codes
from server.domains.identity.credentials.factors.totp import TotpSecrets, new_secret, step_of, uri
from server.security.encryption import Undecipherable

KEY = bytes(range(32))
ANN, BOB = "665f1f77bcf86cd799439011", "665f1f77bcf86cd799439012"
RFC_SECRET = b32encode(b"12345678901234567890").decode()


@pytest.mark.parametrize(
    ("at", "code"),
    [
        (59, "287082"),
        (1_111_111_109, "081804"),
        (1_234_567_890, "005924"),
        (20_000_000_000, "353130"),
    ],
)
def test_codes_are_those_of_the_standard(at: int, code: str) -> None:
    assert step_of(RFC_SECRET, code, datetime.fromtimestamp(at, UTC), after=0) == at // 30


@given(
    now=st.integers(60, 4_000_000_000),
    offset=st.integers(-4, 4),
    after=st.integers(-4, 4),
)
def test_a_code_is_good_for_its_step_and_the_ones_beside_it_unless_used(
    now: int, offset: int, after: int
) -> None:
    step = now // 30 + offset
    code, used = pyotp.TOTP(RFC_SECRET).at(max(step, 0) * 30), now // 30 + after
    found = step_of(RFC_SECRET, code, datetime.fromtimestamp(now, UTC), after=used)
    if abs(offset) <= 1 and step > used:
        assert found == step
    elif found is not None:  # another step that has the same code by chance
        assert found > used
        assert pyotp.TOTP(RFC_SECRET).at(found * 30) == code


@pytest.mark.parametrize("code", ["", "28708", "2870822", "２８７０８２", " 287082", "abcdef"])
def test_what_is_no_code_is_wrong(code: str) -> None:
    assert step_of(RFC_SECRET, code, datetime.fromtimestamp(59, UTC), after=0) is None


def test_a_secret_has_160_bits_and_is_what_apps_read() -> None:
    secrets = {new_secret() for _ in range(50)}
    assert len(secrets) == 50
    for secret in secrets:
        shown = pyotp.parse_uri(uri(secret, "ann@example.com"))
        assert isinstance(shown, pyotp.TOTP)
        assert (len(shown.byte_secret()), shown.digits, shown.interval) == (20, 6, 30)
        assert (shown.issuer, shown.name) == ("Finlink", "ann@example.com")


def test_a_sealed_secret_opens_for_its_user_alone() -> None:
    sealer = TotpSecrets(KEY)
    sealed = sealer.seal(ANN, RFC_SECRET)
    assert RFC_SECRET not in sealed
    assert sealer.open(ANN, sealed) == RFC_SECRET
    for other, user in ((sealer, BOB), (TotpSecrets(bytes(32)), ANN)):
        with pytest.raises(Undecipherable):
            other.open(user, sealed)


def test_recovery_codes_are_random_and_stored_as_digests() -> None:
    codes = [code for _ in range(20) for code in recovery_codes.new_codes()]
    assert len(set(codes)) == 200
    assert {len(code) for code in codes} == {24}
    stored = recovery_codes.stored(codes[:10])
    for code in codes[:10]:
        assert recovery_codes.is_among(recovery_codes.digest_of(code.lower()), stored)
    assert not recovery_codes.is_among(recovery_codes.digest_of(codes[10]), stored)
    assert all(code.encode() not in each.digest for code in codes for each in stored)
