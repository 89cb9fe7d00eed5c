"""How hard a password is to guess, by zxcvbn: its lists of words are read when it is first asked."""

import math
import threading
from collections.abc import Sequence

_MOST_CHARACTERS = 64
# zxcvbn tries each combination of what the symbols of a password may stand for; these letters have several.
_SYMBOLS_OF_A_LETTER = tuple(map(set, ("4@", "({[<", "69", "1!|", "1|7", "$5", "+7")))
# Combinations times characters squared, to which its time is proportional.
_MOST_WORK = 4 * _MOST_CHARACTERS**2
# It keeps the words that it was given in a variable of its module. Two at once would not be faster anyway.
_LOCK = threading.Lock()


def score(password: str, words: Sequence[str]) -> int:
    """0 (guessed at once) to 4. `words` are those that everybody who knows the user would try."""
    with _LOCK:
        from zxcvbn import zxcvbn  # noqa: PLC0415 - large, and most workers never need it

        known = [word[:_MOST_CHARACTERS] for word in words]
        return zxcvbn(_beginning(password), known)["score"]


def _beginning(password: str) -> str:
    """As much of the password as can be scored in reasonable time."""
    seen: set[str] = set()
    for length, character in enumerate(password[:_MOST_CHARACTERS], 1):
        seen.add(character)
        combinations = math.prod(max(1, len(seen & each)) for each in _SYMBOLS_OF_A_LETTER)
        if combinations * length**2 > _MOST_WORK:
            return password[: length - 1]
    return password[:_MOST_CHARACTERS]
