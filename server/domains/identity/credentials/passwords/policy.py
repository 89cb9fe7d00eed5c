"""Which passwords may be set. A password that a user has already is never measured by this."""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from server.domains.identity.credentials.passwords.strength import score

MOST_CHARACTERS = 128  # of at most 512 bytes in UTF-8
PRODUCT = "Finlink"
_LEAST_SCORE = 2
_LEAST_OTHERS = 6  # characters beside a word that everybody knows


@dataclass(frozen=True)
class PasswordPolicy:
    min_length: int  # characters

    def check_new_password(
        self,
        password: str,
        *,
        user_id: str | None = None,
        email: str | None = None,
        names: Sequence[str] = (),
    ) -> str | None:
        """The message for the field; None if the password may be set.

        `names` are what else is known of the user, such as the first and the last name. It takes
        milliseconds, and the first time a tenth of a second: `PasswordHashing` calls it in a thread.
        """
        password = unicodedata.normalize("NFC", password)
        if len(password) < self.min_length:
            return f"must have at least {self.min_length} characters"
        if len(password) > MOST_CHARACTERS:
            return f"must have at most {MOST_CHARACTERS} characters"
        if any(unicodedata.category(each) == "Cc" for each in password):
            return "must not contain control characters, such as tabs and line breaks"
        known = list(_known_words(user_id, email))
        for word, what in known:
            if _is_built_on(password, word):
                return f"must have at least {_LEAST_OTHERS} characters beside {what}"
        if score(password, [word for word, _ in known] + list(names)) < _LEAST_SCORE:
            return "is too easy to guess; a few uncommon words that do not belong together are hard to guess"
        return None


def _known_words(user_id: str | None, email: str | None) -> Iterator[tuple[str, str]]:
    """Words that everybody would try, each with how it is called."""
    yield PRODUCT, f"the name {PRODUCT}"
    if user_id:
        yield user_id, "the userId"
    if local := (email or "").rpartition("@")[0]:
        yield local, "the part of the email before the @"


def _is_built_on(password: str, word: str) -> bool:
    text = password.casefold()
    others = text.replace(unicodedata.normalize("NFC", word).casefold(), "")
    return len(others) < min(len(text), _LEAST_OTHERS)
