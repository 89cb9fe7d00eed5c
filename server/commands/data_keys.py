"""`python -m server verify-data-keys`: whether everything that is sealed has its data key."""

from dataclasses import dataclass

from server.commands.database import on_database
from server.config import Settings
from server.startup import sealed_rows
from server.storage.driver import Database


@dataclass(frozen=True, slots=True)
class _Found:
    unsealed: int
    keyless: int  # owners
    erased: bool


def verify_data_keys(*, erase: bool) -> int:
    """Report, and with `erase` have erased what no data key opens. Returns 0 if nothing such is left."""

    async def work(database: Database, _: Settings) -> _Found:
        sealed = sealed_rows(database)
        unsealed = sum([await each.count_unsealed() for each in sealed])
        if erase:
            keyless = sum([await each.erase_keyless() for each in sealed])
        else:
            keyless = sum([await each.count_keyless() for each in sealed])
        return _Found(unsealed, keyless, erase)

    found = on_database(work)
    if found.unsealed:
        print(
            f"{found.unsealed:,} documents of an earlier release are not sealed yet; workers seal them."
        )
    if found.keyless == 0:
        print("All that is sealed has its data key.")
    elif found.erased:
        print(
            f"The sealed documents of {found.keyless:,} owners had no data key; workers erase them."
        )
    else:
        print(
            f"The sealed documents of {found.keyless:,} owners have no data key. Restore the newest copy of "
            "the data keys; if it has none for them, they were erased, and --erase does so again."
        )
    return 0 if found.erased or not found.keyless else 1
