"""Which passwords may be set, and what is said of the others."""

from __future__ import annotations

import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zxcvbn import matching

from server.domains.identity.credentials.passwords.policy import PasswordPolicy
from server.domains.identity.credentials.passwords.strength import score
from tests.stack import ROOT

POLICY = PasswordPolicy(min_length=8)
EASY = "is too easy to guess; a few uncommon words that do not belong together are hard to guess"
CONTROLS = "must not contain control characters, such as tabs and line breaks"
BESIDE = "must have at least 6 characters beside"
BESIDE_USER_ID = f"{BESIDE} the userId"
BESIDE_EMAIL = f"{BESIDE} the part of the email before the @"
BESIDE_PRODUCT = f"{BESIDE} the name Finlink"

ANIMALS = "".join(chr(0x1F400 + number * 37 % 128) for number in range(128))


def check(password: str) -> str | None:
    return POLICY.check_new_password(
        password,
        user_id="kowalska_77",
        email="anna.nowak@mail.example",
        names=["Wilhelmina", "Szczepanska"],
    )


@pytest.mark.parametrize(
    ("password", "message"),
    [
        # Length
        ("", "must have at least 8 characters"),
        ("kT9#vQz", "must have at least 8 characters"),
        ("kT9#vQzx", None),
        (unicodedata.normalize("NFD", "éüöäéüö"), "must have at least 8 characters"),
        ("ab cdX9-" * 16, None),
        ("ab cdX9-" * 16 + "x", "must have at most 128 characters"),
        (unicodedata.normalize("NFD", "éüöä 5Kk" * 16), None),  # 128 once it is composed
        (ANIMALS, None),  # 512 bytes in UTF-8, and there are no longer ones
        ("ড়🔋📎🧷" * 32, "must have at most 128 characters"),  # NFC makes two of the first
        ("👩🏽🧷🔋🐎📎🗝🥨", None),
        # Any characters but controls
        ("horse\tbattery staple", CONTROLS),
        ("horse battery staple\n", CONTROLS),
        ("horse\0battery staple", CONTROLS),
        ("horse\x7fbattery staple", CONTROLS),
        ("horse\x85battery staple", CONTROLS),
        ("   kT9#vQzx   ", None),
        ("zmęczona łódź pływa", None),
        ("пурпурный трактор плывет", None),
        # Guessed at once, whatever they are made of
        ("password", EASY), ("Password1", EASY), ("P@ssw0rd", EASY), ("drowssap", EASY),
        ("12345678", EASY), ("qwertyuiop", EASY), ("aaaaaaaaaaaaaaaa", EASY), ("abcdefgh", EASY),
        ("iloveyou", EASY), ("1990-01-01", EASY), ("a" * 128, EASY), ("abc" * 40, EASY),
        ("correct horse battery staple", None), ("correcthorsebatterystaple", None),
        # No rules of composition
        ("tractor violet spoon", None), ("93726150482", None),
        # What everybody knows of the user
        ("kowalska_77", BESIDE_USER_ID), ("KOWALSKA_77", BESIDE_USER_ID),
        ("kowalska_77kT9#v", BESIDE_USER_ID), ("kT9kowalska_77#v", BESIDE_USER_ID),
        ("kowalska_77kowalska_77", BESIDE_USER_ID), ("kT9#vQkowalska_77", None),
        ("anna.nowak", BESIDE_EMAIL), ("Anna.NowakkT9#v", BESIDE_EMAIL), ("anna.nowakkT9#vQ", None),
        ("finlink1", BESIDE_PRODUCT), ("FinLink2026", BESIDE_PRODUCT), ("kT9#vQfinlink", None),
        ("Szczepanska", EASY), ("wilhelmina1", EASY), ("77_akslawok", EASY),
    ],
)  # fmt: skip
def test_a_new_password(password: str, message: str | None) -> None:
    assert check(password) == message


def test_the_shortest_is_a_setting() -> None:
    strict = PasswordPolicy(min_length=15)
    assert strict.check_new_password("tractor violet") == "must have at least 15 characters"
    assert strict.check_new_password("tractor violets") is None


def test_of_users_without_a_name_nothing_is_known() -> None:
    assert POLICY.check_new_password("kowalska_77") is None
    assert POLICY.check_new_password("tractor violet spoon", user_id="", email="") is None


@given(st.text(max_size=200), st.text(max_size=100), st.text(max_size=100))
def test_any_text_gets_a_reply(password: str, user_id: str, name: str) -> None:
    message = POLICY.check_new_password(password, user_id=user_id, email=name, names=[name])
    assert message is None or message.startswith(("must ", "is too easy"))


_SYMBOLS = "4@8({[</369&#!1/|0$5+7%2/"


@pytest.mark.parametrize(
    "password", [_SYMBOLS * 5, _SYMBOLS[::-1] * 5, "({[<1!|7694@$5+7" * 8, "a" * 40 + _SYMBOLS]
)
def test_the_work_is_bounded(password: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """zxcvbn looks for words in each combination of the letters that symbols may stand for."""
    lengths: list[int] = []
    translate = matching.translate

    def observed(text: str, letters: dict[str, str]) -> str:
        lengths.append(len(text))
        return translate(text, letters)

    monkeypatch.setattr(matching, "translate", observed)
    score(password, [])
    assert sum(length**2 for length in lengths) <= 16 * 64**2


def test_only_the_beginning_is_scored() -> None:
    easy = "password" * 8
    assert score(easy + "kT9#vQzx kT9#vQzx", []) == score(easy, [])
    assert score("kT9#vQzx" + easy, []) == 4


@pytest.fixture
def busy() -> Iterator[None]:
    """Threads interrupt each other as often as they can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("busy")
def test_words_of_one_user_do_not_meet_another_ones_password() -> None:
    names = [f"zbqrtlk{number}x" for number in range(4)] * 10
    with ThreadPoolExecutor(4) as pool:
        known = list(pool.map(lambda name: score(name, [name]), names))
    assert max(known) < 2
    assert min(score(name, ["another"]) for name in names[:4]) >= 2


def test_its_lists_are_read_when_they_are_needed() -> None:
    """Most workers of a quiet server never need them."""
    module = "server.domains.identity.credentials.passwords.hashing"
    program = f"import sys, {module}; sys.exit('zxcvbn' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)
