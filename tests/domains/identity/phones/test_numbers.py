"""Phone numbers as people type them: the same number, or none; never another one."""

from __future__ import annotations

import pytest

from server.domains.identity.credentials.phones import numbers
from server.domains.identity.credentials.phones.numbers import NotANumber

INDIA = frozenset({"IN"})
NUMBER = "+919876543210"


@pytest.mark.parametrize(
    "typed",
    [
        "+91 98765 43210",
        "+91-98765-43210",
        "+91 (98765) 43210",
        "+91.98765.43210",
        "+91 098765 43210",
        "+91 (0) 98765 43210",
        " +919876543210 ",
        "＋９１ ９８７６５ ４３２１０",
        "+٩١ ٩٨٧٦٥ ٤٣٢١٠",
        "+९१ ९८७६५ ४३२१०",
        "+91\u00a098765\u00a043210",
    ],
    ids=[
        "spaces", "hyphens", "brackets", "dots", "leading 0", "0 in brackets", "around", "fullwidth",
        "arabic", "devanagari", "no-break space",
    ],
)  # fmt: skip
def test_is_the_same_number(typed: str) -> None:
    assert numbers.parse(typed) == NUMBER
    assert numbers.as_name(typed) == NUMBER
    assert numbers.problem(typed, INDIA) is None


@pytest.mark.parametrize(
    "typed",
    [
        "9876543210",
        "09876543210",
        "00919876543210",
        "+0919876543210",
        "+91 0091 98765 43210",
        "+91 98765 432101",
        "+919876543210 ext. 5",
        "+919876543210;ext=5",
        "+919876543210;phone-context=+1",
        "tel:+919876543210",
        "+91 9876543210 / 9876543211",
        "+91 98765 FLOWER",
        "+91 9876²43210",
        "+91 ۹8765\u200b43210",
        "++919876543210",
        "+",
        "",
    ],
    ids=[
        "no country code", "dialled within", "dialled from abroad", "0 before the code",
        "two codes", "a digit more", "extension", "extension in a URI", "context", "URI", "two numbers",
        "letters", "superscript", "invisible", "two signs", "sign alone", "nothing",
    ],
)  # fmt: skip
def test_is_no_number(typed: str) -> None:
    with pytest.raises(NotANumber):
        numbers.parse(typed)
    assert numbers.as_name(typed) == typed
    assert numbers.problem(typed, INDIA) is not None


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("+912222222222", "mobile"),
        ("+911800111000", "mobile"),
        ("+6581234567", "IN"),
    ],
    ids=["fixed line", "toll free", "Singapore"],
)
def test_gets_no_sms(typed: str, says: str) -> None:
    found = numbers.problem(typed, INDIA)
    assert found is not None
    assert says in found
    assert typed not in found


def test_a_country_may_be_added() -> None:
    assert numbers.problem("+6581234567", frozenset({"IN", "SG"})) is None
