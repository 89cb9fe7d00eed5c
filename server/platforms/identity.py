"""Identity of what a platform reports, so that storing a reply twice changes nothing.

Fi numbers none of its rows, and equal rows are real (two equal fills on one day). So an identity
is a hash of what makes the item itself, then an occurrence number among items of the same document
that share the hash. A content hash alone would lose rows; the place in the list would change
as the platform's window slides or it reorders the list.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal

from server.platforms.document import plain
from server.platforms.records import Holding, Item, Profile, Trade, Transaction

Part = str | int | Decimal | date | datetime | None
Record = Transaction | Trade | Holding | Profile

# Platforms send binary floats, whose tails may differ between two replies about one row.
_PLACES = Decimal("0.000001")


def content_hash(parts: Sequence[Part]) -> str:
    """Hex SHA-256 over the normalised parts; `1`, `1.0` and `1.0000000001` are the same number."""
    spelled = json.dumps([_spell(part) for part in parts], ensure_ascii=True)
    return hashlib.sha256(spelled.encode()).hexdigest()


def _spell(part: Part) -> str | None:
    match part:
        case None | str():
            return part
        case Decimal():
            rounded = part if abs(part) >= 10**20 else part.quantize(_PLACES)
            return format(plain(rounded) or Decimal(0), "f")
        case date():
            return part.isoformat()
        case int():
            return str(part)


def number_items(rows: Iterable[tuple[Sequence[Part], Record]]) -> list[Item]:
    """Items in the order given, each keyed `<hash>.<occurrence>`.

    Rows that share a hash and still differ (two holdings of one fund, which nothing that the platform sends
    distinguishes) are numbered by their content, so that a reordered reply gives the same keys.
    """
    listed = [(content_hash(parts), record) for parts, record in rows]
    sharing: defaultdict[str, list[int]] = defaultdict(list)
    for place, (digest, _) in enumerate(listed):
        sharing[digest].append(place)
    keys = [""] * len(listed)
    for digest, places in sharing.items():
        places.sort(key=lambda place: repr(listed[place][1]))
        for occurrence, place in enumerate(places):
            keys[place] = f"{digest}.{occurrence}"
    return [Item(key, record) for key, (_, record) in zip(keys, listed, strict=True)]
