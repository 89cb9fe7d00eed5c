"""`finlink login`, `logout` and `profiles` at a running Finlink, alone and as several processes at once."""

from __future__ import annotations

import json
import os
import subprocess
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import grpc
import httpx
import pyotp
import pytest

from tests.clients.command_line import PROGRAM, Outcome, at_terminal
from tests.clients.scripted import Failure, Script
from tests.clients.test_sessions import refreshed, refreshes, refused, shown, signed_in
from tests.stack import Stack

PASSWORD = "a long and quiet walk"
Run: TypeAlias = Callable[..., Outcome]
_LOST = [grpc.StatusCode.DEADLINE_EXCEEDED]


@pytest.fixture
async def user(rest: httpx.AsyncClient) -> str:
    """A user who can sign in."""
    name = f"user_{uuid.uuid4().hex}"
    body = {"userId": name, "email": f"{name}@example.com", "password": PASSWORD}
    assert (await rest.post("/auth/register", json=body)).status_code == 201
    return name


def kept(bare: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(bare.with_name("profiles.json").read_text())
    return content


def age(bare: Path, **tokens: Any) -> None:
    """Change the tokens of the default profile."""
    content = kept(bare)
    content["default"]["tokens"].update(tokens)
    bare.with_name("profiles.json").write_text(json.dumps(content))


@pytest.fixture
async def app(user: str, rest: httpx.AsyncClient) -> pyotp.TOTP:
    """The user's authenticator app, which each login needs; its code of 30 seconds ago is used."""
    login = await rest.post("/auth/login", json={"username": user, "password": PASSWORD})
    headers = {"authorization": f"Bearer {login.json()['data']['token']}"}
    made = await rest.post("/auth/me/totp", json={}, headers=headers)
    totp = pyotp.TOTP(made.json()["data"]["secret"])
    used = totp.at(time.time() - 30)
    confirmed = await rest.post("/auth/me/totp/confirm", json={"code": used}, headers=headers)
    assert confirmed.status_code == 200, confirmed.text
    return totp


def test_a_second_factor_is_asked_for(user: str, app: pyotp.TOTP, at_stack: Run) -> None:
    without = at_stack("login", user, "--password-stdin", stdin=PASSWORD)
    assert (without.code, "--code" in without.err) == (2, True)
    wrong = at_stack("login", user, "--password-stdin", "--code", "A" * 24, stdin=PASSWORD)
    assert wrong.code == 6
    right = at_stack("login", user, "--password-stdin", "--code", app.now(), stdin=PASSWORD)
    assert (right.code, f"Signed in as {user}" in right.out) == (0, True)
    assert at_stack("me", "show", "--json").json["mfaEnabled"] is True


def test_who_signs_in_is_who_calls_until_signing_out(
    user: str, at_stack: Run, bare: Path, stack: Stack
) -> None:
    by_email = at_stack(
        "login", f"{user}@example.com", "--password-stdin", "--json", stdin=f"{PASSWORD}\n"
    )
    assert (by_email.code, by_email.json["user"], by_email.json["role"]) == (0, user, "user")
    by_name = at_stack("login", user, "--password-stdin", "--profile", "second", stdin=PASSWORD)
    assert by_name.out == f"Signed in as {user} (user) at {stack.grpc}.\n"
    assert PASSWORD not in by_email.out + by_name.out + by_name.err

    assert at_stack("me", "show", "--json").json["userId"] == user
    assert len(at_stack("me", "sessions", "--json").json["sessions"]) == 2
    assert at_stack("profiles", "-o", "name").out == "default\nsecond\n"
    file = bare.with_name("profiles.json")
    assert (file.stat().st_mode & 0o777, bare.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert "flr_" not in at_stack("profiles", "--json").out

    again = at_stack("login", user, "--password-stdin", "--json", stdin=PASSWORD).json
    sessions = at_stack("me", "sessions", "--json").json["sessions"]
    assert {each["sessionId"] for each in sessions if each["current"]} == {again["sessionId"]}
    assert len(sessions) == 2  # the one of before has ended

    assert at_stack("logout").out == "Signed out.\n"
    assert at_stack("logout").out == "Nobody was signed in.\n"
    assert at_stack("me", "show", "--json").error["code"] == "UNAUTHENTICATED"
    assert at_stack("me", "show", "--profile", "second").code == 0
    asked = at_stack("me", "show", "--profile", "third", "--json")
    assert (asked.code, asked.error["hint"]) == (6, "Sign in with 'finlink login --profile third'.")


def test_a_person_types_the_password_which_is_not_shown(
    user: str, stack: Stack, bare: Path
) -> None:
    with at_terminal("login", "--address", stack.grpc) as terminal:
        terminal.wait_for("Email, username or phone number")
        terminal.type(user)
        terminal.wait_for("Password")
        terminal.type_hidden("hush-hush")
        terminal.wait_for("Check the name and the password.")
        assert terminal.ended() == 6
        assert "hush-hush" not in terminal.shown
    assert not bare.with_name("profiles.json").exists()


def test_processes_at_once_refresh_once(bare: Path, user: str, at_stack: Run, stack: Stack) -> None:
    at_stack("login", user, "--password-stdin", stdin=PASSWORD)
    before = kept(bare)["default"]["tokens"]
    age(bare, due=0.0, expires=0.0)
    environment = {**os.environ, "FINLINK_ADDRESS": stack.grpc}
    command = [*PROGRAM, "me", "show", "--json"]
    started = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    said = [process.communicate(timeout=60)[0] for process in started]
    assert [json.loads(each)["userId"] for each in said] == [user] * 4
    after = kept(bare)["default"]["tokens"]
    assert after["refresh_token"] != before["refresh_token"]
    # The one before brings its successor again: had two processes refreshed, this would be another.
    age(bare, **{**before, "due": 0.0})
    at_stack("me", "show")
    assert kept(bare)["default"]["tokens"]["refresh_token"] == after["refresh_token"]


def test_a_refresh_whose_reply_was_lost_is_repeated_with_its_key(
    bare: Path, finlink: Run, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FINLINK_ADDRESS", script.address)
    script.replies["Login"].append(signed_in(0))
    finlink("login", "asha", "--password-stdin", stdin="any")
    age(bare, due=0.0, expires=0.0)
    script.replies["Refresh"].extend([Failure(code) for code in _LOST] + [refreshed(1)])
    assert finlink("users", "show", "asha").code == 7
    assert finlink("users", "show", "asha").code == 0
    (first, key), (again, same) = refreshes(script)
    assert (first, again, key) == ("flr_0", "flr_0", same)
    assert shown(script, "GetUser") == ["at1"]
    script.replies["Refresh"].append(refused("SESSION_ENDED"))
    age(bare, due=0.0)
    ended = finlink("users", "show", "asha", "--json")
    assert (ended.code, ended.error["hint"]) == (6, "Sign in with 'finlink login'.")


def test_a_token_goes_nowhere_else(bare: Path, finlink: Run, script: Script) -> None:
    script.replies["Login"].append(signed_in(0))
    address = script.address.replace("127.0.0.1", "localhost")
    finlink("login", "asha", "--password-stdin", "--address", address, stdin="any")
    finlink("users", "show", "asha")  # the address is the profile's
    finlink("users", "show", "asha", "--address", script.address)
    finlink("users", "show", "asha", "--api-key", "key")
    finlink("users", "show", "asha", "--api-key", "key", "--profile", "default")
    finlink("users", "show", "asha", "--access-token", "own")
    assert shown(script, "GetUser") == ["at0", "", "", "at0", "own"]
    refused_ones = (("--address", script.address), ("--access-token", "own"))
    for options in refused_ones:
        assert finlink("users", "show", "asha", "--profile", "default", *options).code == 2


def test_a_session_that_cannot_be_ended_stays_unless_it_is_to_be_forgotten(
    bare: Path, finlink: Run, script: Script
) -> None:
    script.replies["Login"].append(signed_in(0))
    finlink("login", "asha", "--password-stdin", "--address", script.address, stdin="any")
    script.replies["Logout"].extend([Failure(code) for code in _LOST * 2])
    assert finlink("logout").code == 7
    assert "default" in kept(bare)
    assert finlink("logout", "--forget").code == 0
    assert kept(bare) == {}


def test_what_is_wrong_with_the_file_or_the_input_is_said(bare: Path, finlink: Run) -> None:
    assert finlink("login", "asha").code == 2
    assert finlink("login", "asha", "--password-stdin", stdin="").code == 2
    assert finlink("login", "asha", "--password-stdin", stdin=b"\xff").code == 2
    file = bare.with_name("profiles.json")
    file.parent.mkdir(exist_ok=True)
    file.write_text("{}")
    file.chmod(0o640)
    assert "chmod 600" in finlink("profiles").err
    file.chmod(0o600)
    file.write_text('{"default": {"hush": 1}}')
    assert "damaged" in finlink("profiles").err
    assert "hush" not in finlink("profiles").err
