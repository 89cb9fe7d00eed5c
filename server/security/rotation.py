"""Rotation: keys that other keys of the ring wrapped are wrapped by the first one, while the servers run.

Only the small wrapped keys are written again, never what they seal. The remaining work is read from the
database each time, so a rotation that was stopped continues, and two at once do no harm.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from server.security.encryption import Undecipherable
from server.security.ring import KeyRing, StoredKey, Wrapped

BATCH = 500  # keys read and written at a time
RATE = 2_000  # keys a second: quick, and a server on the same machine hardly notices


class Keys(Protocol):
    """A collection of wrapped keys."""

    async def count_by_ring_key(self) -> Mapping[str, int]: ...

    async def wrapped_by(self, key_id: str, after: str, limit: int) -> Sequence[StoredKey]:
        """The next that this key of the ring wrapped, in the order of their ids."""

    async def replace(self, changes: Sequence[tuple[StoredKey, Wrapped]]) -> int:
        """Store them where nobody changed them meanwhile; gives how many."""


@dataclass(slots=True)
class Rotation:
    """How far it is. `waiting` is what other keys than the first wrapped, by those keys' ids."""

    total: int = 0
    rewrapped: int = 0
    waiting: Mapping[str, int] = field(default_factory=dict)
    missing: Sequence[str] = ()  # keys that are needed and not in the ring
    broken: list[str] = field(default_factory=list)  # ids of keys that do not open

    @property
    def complete(self) -> bool:
        return not self.waiting


async def survey(ring: KeyRing, collections: Sequence[Keys]) -> Rotation:
    """The keys that still need another key than the first."""
    counts: Counter[str] = Counter()
    for keys in collections:
        counts.update(await keys.count_by_ring_key())
    waiting = {key_id: n for key_id, n in sorted(counts.items()) if key_id != ring.first}
    missing = [key_id for key_id in waiting if key_id not in ring]
    return Rotation(total=sum(counts.values()), waiting=waiting, missing=missing)


async def rotate(
    ring: KeyRing,
    collections: Sequence[Keys],
    progress: Callable[[int, int], None],
    rate: float = RATE,
    batch: int = BATCH,
) -> Rotation:
    """Wrap keys again, at most `rate` a second; then return what could not be wrapped.

    `progress` gets how many were re-wrapped, of how many.
    """
    begun = await survey(ring, collections)
    wanted = sum(n for key_id, n in begun.waiting.items() if key_id in ring)
    clock = asyncio.get_running_loop().time
    started = clock()
    rewrapped, broken = 0, list[str]()
    progress(0, wanted)
    for keys in collections:
        for key_id in begun.waiting:
            if key_id not in ring:
                continue
            after = ""
            while some := await keys.wrapped_by(key_id, after, batch):
                after = some[-1].id
                changes = _rewrapped(ring, some, broken)
                rewrapped += await keys.replace(changes) if changes else 0
                progress(rewrapped, wanted)
                await asyncio.sleep(started + rewrapped / rate - clock())
    ended = await survey(ring, collections)
    ended.rewrapped, ended.broken = rewrapped, broken
    return ended


def _rewrapped(
    ring: KeyRing, keys: Sequence[StoredKey], broken: list[str]
) -> list[tuple[StoredKey, Wrapped]]:
    """Each with how it is stored from now on; those that do not open go to `broken`."""
    changes = []
    for key in keys:
        try:
            changes.append((key, ring.rewrap(key.wrapped, place=key.place)))
        except Undecipherable:
            broken.append(key.id)
    return changes
