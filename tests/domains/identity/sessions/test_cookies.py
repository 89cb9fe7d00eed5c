"""Values of session cookies."""

from __future__ import annotations

import hashlib

import pytest

from server.core.errors import Unauthenticated
from server.domains.identity.sessions.cookies import new_cookie, read_cookie

ID = "65a5072e9f1c2b3d4e5f6075"


def test_what_is_stored_is_the_digest() -> None:
    value, digest = new_cookie(ID)
    session_id, dot, secret = value.partition(".")
    assert (session_id, dot, len(secret)) == (ID, ".", 43)
    assert digest == hashlib.sha256(secret.encode()).digest()
    assert read_cookie(value) == (ID, digest)


def test_each_is_random() -> None:
    assert len({new_cookie(ID)[0] for _ in range(100)}) == 100


@pytest.mark.parametrize(
    "value",
    [
        "", ".", ID, f"{ID}.", f"{ID}.{'A' * 42}", f"{ID}.{'A' * 44}", f"{ID}.{'A' * 43}\n",
        f"{ID.upper()}.{'A' * 43}", f"{ID[1:]}.{'A' * 43}", f"{ID}{'A' * 43}", f"{ID}.{'+' * 43}",
        f" {ID}.{'A' * 43}", f"{ID}.{'é' * 43}", f"flr_{'A' * 68}",
    ],
)  # fmt: skip
def test_other_forms_are_refused(value: str) -> None:
    with pytest.raises(Unauthenticated):
        read_cookie(value)
