"""The table by which the workers of a host notify each other that something of a user has changed.

Every write puts a number that was not there before; see `responses.py` for who reads it.
"""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from server.cache.responses import EVERYBODY, PLACES, is_changing, place_of
from server.cache.shared_numbers import shared_numbers


class Generations:
    """The table in the file at `path`, which is made where it is not there; of one process without.

    Raises OSError.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.numbers = shared_numbers(path, PLACES + 1)
        # A worker that died may have left changes open; the feed reports what became of them.
        for place, number in enumerate(self.numbers):
            if is_changing(number):
                self.numbers[place] = _new_number()

    @contextmanager
    def changing(self, *user_ids: str) -> Iterator[None]:
        """Around a change of what is held on users: no reply about them is returned while it is made,
        and none that was there before is returned later.
        """
        with self.committing() as opening:
            opening(*user_ids)
            yield

    @contextmanager
    def committing(self) -> Iterator[Callable[..., None]]:
        """Around a commit that finds out on the way whose changes it has: it is given those."""
        opened: set[str] = set()

        def opening(*user_ids: str) -> None:
            opened.update(user_ids)
            self.open(*user_ids)

        try:
            yield opening
        finally:  # also where nobody knows whether it was committed
            self.close(*opened)

    def open(self, *user_ids: str) -> None:
        """A change of these users is about to be committed."""
        for user_id in user_ids:
            self.numbers[place_of(user_id)] = _new_number() | 1

    def close(self, *user_ids: str) -> None:
        """A change of these users is done, or nobody knows; its caller may get the reply."""
        for user_id in user_ids:
            self.numbers[place_of(user_id)] = _new_number()

    def close_one_or_all(self, user_id: str | None) -> None:
        """The same, also where it is not known whose change it was."""
        place = EVERYBODY if user_id is None else place_of(user_id)
        self.numbers[place] = _new_number()


def _new_number() -> int:
    """One that was never there, and even."""
    return secrets.randbits(63) << 1
