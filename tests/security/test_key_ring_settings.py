"""ENCRYPTION_KEYS, and what production refuses."""

from __future__ import annotations

import base64
import hashlib
import os
import string
import subprocess
import sys

import pytest

from server.config import ConfigError, KeySettings, Settings
from server.security.keys import weakness
from server.settings import load
from tests.stack import ROOT

# The same in every process that collects these tests.
ONE, TWO, THREE = (hashlib.sha256(bytes([number])).digest() for number in range(3))
PRODUCTION = {
    "app_env": "production",
    "public_url": "https://finlink.example",
    "email_verification": "optional",
}


def text(key: bytes) -> str:
    return base64.b64encode(key).decode()


def given(**changes: object) -> Settings:
    return load(_env_file=None, **{"encryption_key": None, "encryption_keys": None, **changes})


def test_the_ring_is_in_the_order_of_its_keys() -> None:
    ring = given(encryption_keys=f"new_2:{text(ONE)}, old-1:{TWO.hex()}").of(KeySettings).ring
    assert list(ring.items()) == [("new_2", ONE), ("old-1", TWO)]


def test_the_single_key_is_one_of_the_ring() -> None:
    assert given().of(KeySettings).ring == {}
    assert given(encryption_key=text(ONE)).of(KeySettings).ring == {"default": ONE}
    both = given(encryption_keys=f"new:{text(TWO)}", encryption_key=text(ONE)).of(KeySettings).ring
    assert list(both.items()) == [("new", TWO), ("default", ONE)]
    moved = (
        given(encryption_keys=f"default:{text(ONE)},new:{text(TWO)}", encryption_key=text(ONE))
        .of(KeySettings)
        .ring
    )
    assert list(moved.items()) == [("default", ONE), ("new", TWO)]


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (text(ONE), "entry 1 is not of the form id:key"),
        (f"a:{text(ONE)},{text(TWO)}", "entry 2 is not of the form id:key"),
        (f"a:{text(ONE)},", "entry 2 is not of the form id:key"),
        (f"a b:{text(ONE)}", "entry 1 is not of the form id:key"),
        (f"{'a' * 33}:{text(ONE)}", "entry 1 is not of the form id:key"),
        (f":{text(ONE)}", "entry 1 is not of the form id:key"),
        (f"a:{text(ONE)},a:{text(TWO)}", "the id a is there twice"),
        (f"a:{text(ONE)},b:{ONE.hex()}", "the key b is there before under another id"),
        ("a:tooshort", "the key a must be 32 bytes"),
    ],
)
def test_what_is_no_ring(value: str, why: str) -> None:
    with pytest.raises(ConfigError) as caught:
        given(encryption_keys=value)
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"ENCRYPTION_KEYS: {why}")
    for key in (text(ONE), ONE.hex(), text(TWO), "tooshort"):
        assert key not in line


def test_default_cannot_be_two_keys() -> None:
    with pytest.raises(ConfigError, match="ENCRYPTION_KEYS has another key default"):
        given(encryption_keys=f"default:{text(ONE)}", encryption_key=text(TWO))


@pytest.mark.parametrize(
    ("key", "what"),
    [
        (bytes(32), "repeats itself"),
        (b"\xff" * 32, "repeats itself"),
        (b"0123456789abcdef" * 2, "repeats itself"),
        (b"correct horse " * 3, "repeats itself"),
        (bytes(range(32)), "is a sequence"),
        (bytes(range(255, 223, -1)), "is a sequence"),
        (b"abcdefghijklmnopqrstuvwxyz012345", "is a sequence"),
        (b"your_32_char_encryption_key_here", "is a placeholder"),
        (b"Change-Me-Please-0a9f7Q2w8Zx3LmR", "is a placeholder"),
        (b"a4d3f19c93936df0e6ed707d01a9a281", "has too few different characters"),
        (b"correcthorsebatterystapletrouble", "has too few different characters"),
    ],
)
def test_weak_keys_are_refused_in_production_alone(key: bytes, what: str) -> None:
    key = key[:32]
    assert weakness(key) == what
    for form in (text(key), key.hex()):
        assert given(encryption_key=form).of(KeySettings).ring == {"default": key}
        with pytest.raises(ConfigError) as caught:
            given(**PRODUCTION, encryption_keys=f"a:{text(ONE)},b:{form}")
        (line,) = str(caught.value).splitlines()
        assert line.startswith(f"the encryption key b {what} and is refused in production")
        assert form not in line


def test_keys_made_as_advised_are_taken() -> None:
    for _ in range(1000):
        assert weakness(os.urandom(32)) is None
    assert weakness(string.ascii_letters.encode()[1:48:3] + os.urandom(16)) is None
    ring = given(**PRODUCTION, encryption_keys=f"a:{text(ONE)}").of(KeySettings).ring
    assert ring == {"a": ONE}


@pytest.mark.parametrize(
    ("command", "settings", "said"),
    [
        ("serve", {}, "ENCRYPTION_KEYS or ENCRYPTION_KEY must be set in production"),
        ("run", {"ENCRYPTION_KEY": "00" * 32}, "the encryption key default repeats itself"),
        ("worker", {"ENCRYPTION_KEYS": "a:" + "ab" * 32}, "the encryption key a repeats itself"),
    ],
)
def test_production_does_not_start_on_a_bad_key(
    command: str, settings: dict[str, str], said: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("refused")
    clean = {name: value for name, value in os.environ.items() if "ENCRYPTION" not in name}
    environment = {
        **clean,
        **settings,
        "APP_ENV": "production",
        "PUBLIC_URL": "https://finlink.example",
        "EMAIL_VERIFICATION": "optional",
        "MONGODB_URI": "mongodb://127.0.0.1:1/",
        "DATA_DIR": str(folder / "data"),
    }
    done = subprocess.run(
        [sys.executable, "-m", "server", command], cwd=ROOT, env=environment,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"finlink: {said}")
    assert not list(folder.iterdir())
