"""API keys as they are made, and as the environment names them."""

from __future__ import annotations

import pytest

from server.access import Scope, digest, new_key, parse_keys

DIGEST = digest("finlink_x")


def test_keys_are_random_and_recognisable() -> None:
    keys = {new_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(key.startswith("finlink_") and len(key) > 40 for key in keys)


def test_keys_of_the_environment() -> None:
    first, second = parse_keys(f"ops:admin:{DIGEST}, app.v2:read:{digest('y')},")
    assert (first.name, first.scope, first.digest) == ("ops", Scope.ADMIN, DIGEST)
    assert (second.name, second.scope) == ("app.v2", Scope.READ)
    assert parse_keys("") == ()


def test_scopes_include_those_before_them() -> None:
    assert Scope.READ < Scope.WRITE < Scope.ADMIN


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f":read:{DIGEST}", "NAME:SCOPE:DIGEST"),
        (f"ops:all:{DIGEST}", "read, write or admin"),
        ("ops:read:finlink_x", "SHA-256"),
        (f"ops:read:{DIGEST},ops:read:{DIGEST}", "twice"),
    ],
)
def test_wrong_entries_are_named_without_digests(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says) as caught:
        parse_keys(text)
    assert DIGEST not in str(caught.value)
    assert DIGEST not in repr(parse_keys(f"ops:read:{DIGEST}"))
