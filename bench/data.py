"""Users and connectors as the stores keep them, written straight into MongoDB.

Every second user has a connector of each platform, so there are as many connectors as users. Those of
the hot set are spread evenly over all users. All are counted already, which Finlink would take minutes for
with a million. A database's name has its size; it is kept between runs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from bson import ObjectId
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.write_concern import WriteConcern

from server.domains.connectors.connections import store as connector_store
from server.domains.users import store as user_store
from server.storage.counter_spec import COUNTED_AS, CounterSpec
from server.storage.counters import COUNTERS

FULL = 1_000_000
HOT = 10_000
SYNCING = 60  # three times as many as a worker syncs at once
MARKER = "bench_loaded"
FORM = 3  # grows when the documents change, which loads them again
PREFIX = "bench_"
_BATCH = 5_000
_EPOCH = "bench"  # of the sums, which are written with the documents
_BEGINNING = datetime(2024, 1, 1, tzinfo=UTC)
_FAR = datetime(2040, 1, 1, tzinfo=UTC)  # no sync of these comes due
_CITIES = ("Bangalore", "Mumbai", "Delhi", "Chennai", "Pune", "Hyderabad", "Kolkata", "Jaipur")
_RISKS = ("low", "medium", "high")
# Of a hundred connectors: mostly connected ones.
_STATUSES = ("connected",) * 70 + ("disconnected",) * 20 + ("error",) * 5 + ("expired",) * 5
Document = dict[str, Any]
Progress = Callable[[str, int, int], object]


def database_name(users: int) -> str:
    return f"bench_{users}"


def hot_ids(users: int) -> list[str]:
    """The hot set by rank."""
    count = min(HOT, users)
    step = max(1, users // count)
    return [f"{PREFIX}{rank * step}" for rank in range(count)]


def user(number: int) -> Document:
    made = _BEGINNING + timedelta(seconds=number)
    return {
        "_id": ObjectId(),
        "userId": f"{PREFIX}{number}",
        "email": f"{PREFIX}{number}@example.com",
        "profile": {
            "firstName": "Asha",
            "lastName": f"Rao {number}",
            "dateOfBirth": datetime(
                1980 + number % 25, 1 + number % 12, 1 + number % 28, tzinfo=UTC
            ),
            "phoneNumber": f"+91-98{number % 100_000_000:08d}",
            "city": _CITIES[number % len(_CITIES)],
            "country": "India",
            "income": 500_000.0 + number % 1_000_000,
            "riskTolerance": _RISKS[number % 3],
        },
        "preferences": {
            "currency": "INR",
            "language": "en",
            "notifications": {"email": True, "sms": False, "push": True},
        },
        "status": "active",
        "emailVerified": number % 2 == 0,
        "metadata": {"source": "bench", "tags": ["bench"]},
        "createdAt": made,
        "updatedAt": made,
    }


def connectors(number: int) -> list[Document]:
    """Those of one user."""
    return (
        [] if number % 2 else [_connector(number, platform) for platform in ("fi_money", "zerodha")]
    )


def _connector(number: int, platform: str) -> Document:
    made = _BEGINNING + timedelta(seconds=number)
    status = _STATUSES[(number // 2 * 37 + len(platform)) % 100]
    types = ["transactions", "portfolio", "profile", "trades"]
    permissions = types if platform == "fi_money" else types[1:]
    document: Document = {
        "_id": ObjectId(),
        "userId": f"{PREFIX}{number}",
        "platform": platform,
        "connectionStatus": status,
        "connectionDetails": {"connectedAt": made, "syncInterval": 5, "lastSyncAt": made},
        "metadata": {
            "platformUserId": f"P{number}",
            "accountType": "mcp" if platform == "fi_money" else "individual",
            "permissions": permissions,
            "dataTypes": permissions,
        },
        "session": {"generation": 1},
        "sync": {"auto": True, "paused": False, "total": 1, "successful": 1, "lastSuccessAt": made},
        "syncHistory": [
            {"syncedAt": made, "status": "success", "recordsCount": 40, "addedCount": 40,
             "syncId": f"sync_{number}_{platform}", "startedAt": made, "counts": []},
        ],
        "errors": [],
        "createdAt": made,
        "updatedAt": made,
    }  # fmt: skip
    if status in {"connected", "error"}:
        document["sessionId"] = f"session_{platform}_{number}"
        document["connectionDetails"]["nextSyncAt"] = _FAR
        document["credentials"] = {"tokenExpiresAt": _FAR}
        document["sync"]["dueAt"] = _FAR
        document["session"]["checkAt"] = _FAR
    else:
        document["connectionDetails"] |= {"disconnectedAt": made, "sessionDuration": 30}
    return document


def ensure(uri: str, users: int, progress: Progress) -> None:
    """Fill the database of that size unless it is full, with the indexes that the stores want today.

    Data that runs add to it stays: Finlink's counts stay true.
    """
    with MongoClient[Document](uri, tz_aware=True) as client:
        database = client[database_name(users)]
        marker = {"_id": "data", "users": users, "form": FORM}
        if database[MARKER].find_one(marker) is None:
            client.drop_database(database.name)
            fill(database, users, progress)
            database[MARKER].insert_one(marker)
        else:
            _index(database, progress)


def syncing_users() -> list[str]:
    """Some of those that have no connectors: runs may connect them."""
    return [f"{PREFIX}{2 * number + 1}" for number in range(SYNCING)]


def fill(database: Database[Document], users: int, progress: Progress) -> None:
    everybody = (user(n) for n in range(users))
    _insert(database, user_store.COUNTED, everybody, users, progress)
    each = (document for n in range(users) for document in connectors(n))
    _insert(database, connector_store.COUNTED, each, users, progress)
    # Over documents that are there this takes a fraction of what it costs to keep them up meanwhile.
    _index(database, progress)


def _index(database: Database[Document], progress: Progress) -> None:
    indexes = {**user_store.indexes(30), **connector_store.INDEXES}
    for number, (name, models) in enumerate(indexes.items()):
        progress("indexes", number, len(indexes))
        database[name].create_indexes(list(models))
    progress("indexes", len(indexes), len(indexes))


def _insert(
    database: Database[Document],
    spec: CounterSpec,
    documents: Iterator[Document],
    total: int,
    progress: Progress,
) -> None:
    unsynced = WriteConcern(w=1, j=False)
    collection = database[spec.collection].with_options(write_concern=unsynced)
    name_of = {values: name for name, values in spec.expected.items()}
    counts: Counter[str] = Counter()
    while batch := list(islice(documents, _BATCH)):
        for document in batch:
            name = name_of[tuple(document.get(field) for field in spec.by)]
            document[COUNTED_AS] = spec.mark(name, _EPOCH)
            counts[name] += 1
        collection.insert_many(batch, ordered=False)
        progress(spec.collection, counts.total(), total)
    sums = {"_id": spec.collection, "epoch": _EPOCH, "counts": dict(counts)}
    database[COUNTERS].insert_one(sums)
