"""The encryption key as it is configured."""

from __future__ import annotations

import base64
import os
import subprocess
import sys

import pytest

from server.config import ConfigError, KeySettings
from server.security.keys import decode_key
from server.settings import load
from tests.stack import ROOT

RAW = "an encryption key of 32 letters!"
KEY = RAW.encode()
SAMPLE = "your_32_char_encryption_key"  # what the product's documentation shows: 27 characters


@pytest.mark.parametrize(
    "text",
    [RAW, KEY.hex(), KEY.hex().upper(), base64.b64encode(KEY).decode()],
    ids=["raw", "hexadecimal", "capital hexadecimal", "base64"],
)
def test_forms_of_a_key(text: str) -> None:
    assert decode_key(text) == KEY


def test_32_hexadecimal_digits_are_32_raw_bytes() -> None:
    assert decode_key("0123456789abcdef" * 2) == b"0123456789abcdef" * 2


def test_a_raw_key_may_have_letters_of_two_bytes() -> None:
    assert decode_key("ä" * 16) == ("ä" * 16).encode()


@pytest.mark.parametrize(
    "text",
    ["", "short", SAMPLE, "é" * 32, "x" * 31, "x" * 33, "ab" * 31, "zz" * 32, RAW + "\n",
     base64.b64encode(KEY + b"!").decode(), base64.b64encode(KEY).decode().rstrip("=")],
)  # fmt: skip
def test_what_is_no_key(text: str) -> None:
    with pytest.raises(ValueError, match=f"must be 32 bytes.* {len(text)} characters") as caught:
        decode_key(text)
    assert not text or text not in str(caught.value)


def test_the_documentation_s_sample_is_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        load(_env_file=None, encryption_key=SAMPLE)
    (line,) = str(caught.value).splitlines()
    assert line.startswith("ENCRYPTION_KEY: must be 32 bytes")
    assert "27 characters" in line
    assert SAMPLE not in line


@pytest.mark.parametrize("command", ["serve", "run"])
def test_the_command_line_refuses_the_sample_with_one_clear_line(
    command: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("refused")
    environment = {
        **os.environ,
        "ENCRYPTION_KEY": SAMPLE,
        "MONGODB_URI": "mongodb://127.0.0.1:1/",
        "DATA_DIR": str(folder / "data"),
    }
    done = subprocess.run(
        [sys.executable, "-m", "server", command], cwd=ROOT, env=environment,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("finlink: ENCRYPTION_KEY: must be 32 bytes")
    assert "openssl rand -hex 32" in line
    assert SAMPLE not in line
    assert list(folder.iterdir()) == []


def test_production_needs_a_key() -> None:
    with pytest.raises(
        ConfigError, match="ENCRYPTION_KEYS or ENCRYPTION_KEY must be set in production"
    ):
        load(_env_file=None, app_env="production")


def test_the_key_is_not_shown() -> None:
    settings = load(_env_file=None, encryption_key=RAW)
    assert RAW not in f"{settings!r} {settings.of(KeySettings)!r}"
