"""The cookies of browsers: one for the session, one for the device, one for a login at a provider."""

import re
from collections.abc import Sequence
from datetime import timedelta
from http.cookies import SimpleCookie

SESSION = "finlink_session"
DEVICE = "finlink_device"
LOGIN = "finlink_login"
DEVICE_LIFE = timedelta(days=180)


class Cookies:
    """`secure`: over HTTPS, where browsers hold the name's prefix to it; plain HTTP is for development."""

    def __init__(self, *, secure: bool) -> None:
        self._prefix = "__Host-" if secure else ""
        self._secure = secure

    def session(self, header: str) -> str | None:
        """The value of the session's cookie in a `cookie` header."""
        return self._value(SESSION, header)

    def device(self, header: str) -> str | None:
        return self._value(DEVICE, header)

    def given(self, session: str, seconds: int, device: str | None) -> list[tuple[str, str]]:
        """The headers that give a browser its cookies."""
        headers = [self._header(SESSION, session, seconds)]
        if device is not None:
            headers.append(self._header(DEVICE, device, round(DEVICE_LIFE.total_seconds())))
        return headers

    def removed(self) -> Sequence[tuple[str, str]]:
        """The header that removes the session's cookie; the device stays known."""
        return [self._header(SESSION, "", 0)]

    def login_secret(self, header: str, state: str) -> str | None:
        """The secret of a login at a provider. Each has a cookie of its own, for several at once in tabs."""
        return self._value(_login(state), header)

    def login_given(self, state: str, secret: str, seconds: int) -> tuple[str, str]:
        """The header that gives a browser that secret."""
        return self._header(_login(state), secret, seconds)

    def login_removed(self, state: str) -> tuple[str, str]:
        return self._header(_login(state), "", 0)

    def _value(self, name: str, header: str) -> str | None:
        """The first of this name in a `cookie` header, as browsers send the most specific first.

        `SimpleCookie` reads nothing of a header in which a cookie of another has an odd name or value.
        """
        for pair in header.split(";"):
            found, equals, value = pair.strip(" \t").partition("=")
            if equals and found == self._prefix + name:
                return value.strip('"') or None
        return None

    def _header(self, name: str, value: str, seconds: int) -> tuple[str, str]:
        cookie = SimpleCookie({self._prefix + name: value})
        morsel = cookie[self._prefix + name]
        morsel["path"] = "/"
        morsel["max-age"] = seconds
        morsel["httponly"] = True
        morsel["samesite"] = "Lax"
        morsel["secure"] = self._secure
        return "set-cookie", morsel.OutputString()


def _login(state: str) -> str:
    """The name of a login's cookie. A state that is none of Finlink's own names none that it has given."""
    return f"{LOGIN}_{re.sub(r'[^A-Za-z0-9_-]', '', state)[:12]}"
