"""How passwords are stored and compared."""

from __future__ import annotations

import re
import unicodedata

import bcrypt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domains.identity.credentials.passwords.scheme import PasswordScheme, check_importable

PEPPERS = {"old": b"o" * 32, "new": b"n" * 32}
SCHEME = PasswordScheme(PEPPERS, "new", 4)
PASSWORD = "correct horse battery staple"
# Made once: the names of tests must be the same in each process.
STORED = "fl1$new$$2b$04$uR7yIG.XAgQjAGCvvbEzO.DYOlONPwQ.hKVOqdA3CXMJPQnJMci9i"
# Made by other programs: OpenBSD's bcrypt, pyca's, PHP's.
IMPORTED = {
    "U*U*U": "$2a$05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a",
    "Kk4DQuMMfZL9o": "$2b$04$cVWp4XaNU8a4v1uMRum2SO026BWLIoQMD/TXg5uZV.0P.uO8m3YEm",
    "rasmuslerdorf": "$2y$07$BCryptRequires22Chrcte/VlQH0piJtjXl.0t1XkA8pw9dMXTpOq",
}
_ENCODED = IMPORTED["Kk4DQuMMfZL9o"].removeprefix("$2b$04$")
FOREIGN = [
    "", "plain text", "5f4dcc3b5aa765d61d8327deb882cf99", f"$2x$04${_ENCODED}", f"$2$04${_ENCODED}",
    f"$2b$4${_ENCODED}", f"$2b$04${_ENCODED[:-1]}", f"$2b$04${_ENCODED}\n", f" $2b$04${_ENCODED}",
    f"$2b$04${_ENCODED[:21]}P{_ENCODED[22:]}", f"$2b$04${_ENCODED[:-1]}n",
    "$argon2id$v=19$m=65536,t=3,p=4$c2FsdHNhbHQ$MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI",
    "$6$saltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/",
]  # fmt: skip
ABSURD = [f"$2b${rounds}${_ENCODED}" for rounds in ("00", "03", "15", "31", "99")]
ABSURD_OWN = [STORED.replace("$2b$04$", f"$2b${rounds}$") for rounds in ("00", "03", "16", "31")]
UNKNOWN_PEPPER = STORED.replace("fl1$new$", "fl1$lost$")


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The hashes that bcrypt is asked to compare with."""
    hashes: list[str] = []
    check = bcrypt.checkpw

    def observed(key: bytes, hashed: bytes) -> bool:
        hashes.append(hashed.decode())
        return check(key, hashed)

    monkeypatch.setattr(bcrypt, "checkpw", observed)
    return hashes


def test_it_has_the_form_that_is_documented() -> None:
    assert re.fullmatch(r"fl1\$new\$\$2b\$04\$[./A-Za-z0-9]{53}", STORED)
    assert SCHEME.hash(PASSWORD) != STORED  # a salt of its own


@pytest.mark.parametrize(
    ("password", "others"),
    [
        (PASSWORD, ["", PASSWORD[:-1], PASSWORD + " ", PASSWORD.upper(), " " + PASSWORD]),
        # 128 characters, all of which count; the second kind in 512 bytes.
        ("x" * 127 + "y", ["x" * 128, "x" * 127, "x" * 72]),
        ("🔑" * 127 + "🗝", ["🔑" * 128, "🔑" * 18, "🔑" * 127]),
        # A NUL ends nothing.
        ("before\0after", ["before", "before\0", "before\0other"]),
        ("\0", ["", "\0\0"]),
    ],
)
def test_a_password_is_the_whole_text(password: str, others: list[str]) -> None:
    stored = SCHEME.hash(password)
    assert SCHEME.verify(password, stored)
    assert not any(SCHEME.verify(other, stored) for other in others)


def test_keyboards_may_compose_letters_or_not() -> None:
    composed, decomposed = "Zürich in März", unicodedata.normalize("NFD", "Zürich in März")
    assert composed != decomposed
    for one, other in ((composed, decomposed), (decomposed, composed)):
        assert SCHEME.verify(other, SCHEME.hash(one))
    # Letters that only look like others are others.
    assert not SCHEME.verify("ﬁsh and chips", SCHEME.hash("fish and chips"))


def test_any_known_pepper_is_taken_and_no_other() -> None:
    before = PasswordScheme({"old": PEPPERS["old"]}, "old", 4)
    stored = before.hash(PASSWORD)
    assert SCHEME.verify(PASSWORD, stored)
    assert not SCHEME.verify(PASSWORD + "!", stored)
    assert not before.verify(PASSWORD, STORED)
    # What is stored is worth nothing under another pepper, nor as a plain bcrypt hash.
    assert not SCHEME.verify(PASSWORD, stored.replace("fl1$old$", "fl1$new$"))
    assert not SCHEME.verify(PASSWORD, stored.removeprefix("fl1$old$"))


@pytest.mark.parametrize(("password", "stored"), IMPORTED.items())
def test_an_imported_hash_is_checked_as_it_is_and_renewed(password: str, stored: str) -> None:
    check_importable(stored)
    assert SCHEME.verify(password, stored)
    assert not SCHEME.verify(password + "!", stored)
    assert SCHEME.needs_renewal(stored)
    assert not SCHEME.needs_renewal(SCHEME.hash(password))


def test_an_imported_hash_takes_no_password_that_its_system_would_have_cut(
    compared: list[str],
) -> None:
    """It would be of the beginning only."""

    def imported(password: str) -> str:
        return bcrypt.hashpw(password.encode(), bcrypt.gensalt(5)).decode()

    assert SCHEME.verify("ü" * 36, imported("ü" * 36))
    assert not SCHEME.verify("x" * 73, imported("x" * 72))
    assert not SCHEME.verify("ü" * 37, imported("ü" * 36))
    assert not SCHEME.verify("before\0after", imported("before"))
    assert not SCHEME.verify("before\0after", imported("before\0after"))
    assert len(compared) == 5  # each after the same work


@pytest.mark.parametrize("stored", [None, *FOREIGN, *ABSURD, *ABSURD_OWN, UNKNOWN_PEPPER])
def test_without_a_hash_that_may_be_checked_the_same_work_is_done(
    stored: str | None, compared: list[str]
) -> None:
    assert not SCHEME.verify(PASSWORD, stored)
    (hashed,) = compared
    assert hashed.startswith("$2b$04$")
    assert SCHEME.hash(PASSWORD).count(hashed) == 0


def test_a_hash_is_checked_once(compared: list[str]) -> None:
    assert SCHEME.verify(PASSWORD, STORED)
    assert not SCHEME.verify("wrong", STORED)
    assert compared == [STORED.removeprefix("fl1$new$")] * 2


@pytest.mark.parametrize("stored", [*FOREIGN, STORED])
def test_hashes_of_other_schemes_are_not_importable(stored: str) -> None:
    with pytest.raises(ValueError, match=r"must be a whole bcrypt hash that begins with \$2a"):
        check_importable(stored)


@pytest.mark.parametrize("stored", ABSURD)
def test_hashes_of_absurd_cost_are_not_importable(stored: str) -> None:
    with pytest.raises(ValueError, match="must have a cost of 4 to 14"):
        check_importable(stored)


@pytest.mark.parametrize("rounds", ["04", "10", "14"])
def test_hashes_of_usual_cost_are_importable(rounds: str) -> None:
    check_importable(f"$2y${rounds}${_ENCODED}")


def test_a_hash_is_renewed_if_it_would_be_made_differently_today() -> None:
    assert not SCHEME.needs_renewal(STORED)
    assert SCHEME.needs_renewal(PasswordScheme(PEPPERS, "old", 4).hash(PASSWORD))
    assert SCHEME.needs_renewal(PasswordScheme(PEPPERS, "new", 5).hash(PASSWORD))
    assert PasswordScheme(PEPPERS, "new", 5).needs_renewal(STORED)


@pytest.mark.parametrize(
    ("peppers", "current", "rounds", "message"),
    [
        (PEPPERS, "lost", 4, "there is no pepper lost"),
        ({"short": b"x" * 31}, "short", 4, "32 bytes"),
        ({"a$b": b"x" * 32}, "a$b", 4, "the id of a pepper"),
        (PEPPERS, "new", 3, "4 to 15"),
        (PEPPERS, "new", 16, "4 to 15"),
    ],
)
def test_a_scheme_that_cannot_work_is_refused(
    peppers: dict[str, bytes], current: str, rounds: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        PasswordScheme(peppers, current, rounds)


# Texts that are easily taken for one another, and any others.
_TEXTS = st.one_of(st.text("aeé\u0301\0 ", max_size=6), st.text(max_size=128))


@given(password=_TEXTS, other=_TEXTS, pepper=st.sampled_from(sorted(PEPPERS)))
def test_a_hash_matches_the_texts_of_one_normal_form(
    password: str, other: str, pepper: str
) -> None:
    scheme = PasswordScheme(PEPPERS, pepper, 4)
    stored = scheme.hash(password)
    same = unicodedata.normalize("NFC", password) == unicodedata.normalize("NFC", other)
    assert scheme.verify(other, stored) is same
    assert SCHEME.verify(password, stored)
    assert SCHEME.needs_renewal(stored) is (pepper != "new")
