"""The outside providers that users may sign in at, as settings describe them: OIDC_<NAME>_…"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from server.security.outgoing import is_loopback
from server.setting_types import check_http_url

NAME = re.compile(r"[a-z][a-z0-9]{0,19}")
_NEEDED = ("ISSUER", "CLIENT_ID", "CLIENT_SECRET", "REDIRECTS")
_KNOWN = (*_NEEDED, "SCOPES", "DISPLAY_NAME")
_SCOPES = "openid profile email"
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")  # of RFC 6749
_TEXT = re.compile(r"[\x21-\x7e]{1,512}")
_MOST_ADDRESS = 2_048  # characters
_MOST_DISPLAYED = 50


@dataclass(frozen=True, slots=True)
class Provider:
    """An OpenID provider. `name` is the one in settings and paths, `issuer` the one in its tokens."""

    name: str
    display_name: str
    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    scopes: str
    redirects: tuple[str, ...]  # the addresses to which its reply may go, compared whole


def read(names: Sequence[str], variables: Mapping[str, str]) -> tuple[Provider, ...]:
    """Those of the names, from the variables without their `OIDC_`; `problems` has found none."""
    return tuple(_provider(name, _of(name, variables)) for name in names)


def problems(
    names: Sequence[str], variables: Mapping[str, str], *, production: bool
) -> Iterator[str]:
    """A line for each variable that is wrong, or never works."""
    for name in names:
        if not NAME.fullmatch(name) or names.count(name) > 1:
            yield (
                "OIDC_PROVIDERS: must be names, each once, separated by commas: "
                "1 to 20 lower-case letters and digits, a letter first"
            )
            return
    for variable in variables:
        name, _, rest = variable.partition("_")
        if name in names and rest not in _KNOWN:
            yield f"OIDC_{variable.upper()}: is no setting of a provider; they are {', '.join(_KNOWN)}"
        elif name not in names and rest in _KNOWN:
            yield f"OIDC_{variable.upper()}: OIDC_PROVIDERS does not name {name}"
    issuers: list[str] = []
    for name in names:
        own = _of(name, variables)
        for rest in _NEEDED:
            if rest not in own:
                yield f"OIDC_{name.upper()}_{rest} must be set, since OIDC_PROVIDERS names {name}"
        for rest, value in own.items():
            if rest in _KNOWN and (wrong := _wrong(rest, value, production=production)):
                yield f"OIDC_{name.upper()}_{rest}: {wrong}"
        if (issuer := own.get("ISSUER")) in issuers:
            yield f"OIDC_{name.upper()}_ISSUER: is that of another provider"
        issuers.append(issuer or name)


def _of(name: str, variables: Mapping[str, str]) -> dict[str, str]:
    prefix = f"{name}_"
    return {
        variable.removeprefix(prefix): value
        for variable, value in variables.items()
        if variable.startswith(prefix)
    }


def _provider(name: str, own: Mapping[str, str]) -> Provider:
    return Provider(
        name=name,
        display_name=own.get("DISPLAY_NAME", name.capitalize()),
        issuer=own["ISSUER"],
        client_id=own["CLIENT_ID"],
        client_secret=own["CLIENT_SECRET"],
        scopes=" ".join(own.get("SCOPES", _SCOPES).split()),
        redirects=_split(own["REDIRECTS"]),
    )


def _split(value: str) -> tuple[str, ...]:
    return tuple(each.strip() for each in value.split(",") if each.strip())


def _wrong(name: str, value: str, *, production: bool) -> str | None:
    """Why a value never works. It is not quoted: it may be a secret."""
    if name == "ISSUER":
        return _wrong_issuer(value, production=production)
    if name in {"CLIENT_ID", "CLIENT_SECRET"}:
        return None if _TEXT.fullmatch(value) else "must be 1 to 512 ASCII characters, no spaces"
    if name == "SCOPES":
        scopes = value.split()
        right = "openid" in scopes and all(map(_SCOPE.fullmatch, scopes))
        return None if right else "must be scopes separated by spaces, `openid` among them"
    if name == "DISPLAY_NAME":
        right = value.isprintable() and 0 < len(value) <= _MOST_DISPLAYED
        return None if right else f"must be 1 to {_MOST_DISPLAYED} printable characters"
    redirects = _split(value)
    right = bool(redirects) and all(_is_redirect(each, production) for each in redirects)
    return None if right else _REDIRECTS


_REDIRECTS = (
    "must be whole addresses without `#`, separated by commas, such as https://app.example/callback: "
    "https in production, or http on this machine, or a scheme of an app such as com.example.app:/callback"
)


def _wrong_issuer(value: str, *, production: bool) -> str | None:
    try:
        check_http_url(value)
    except ValueError as error:
        return str(error)
    if "|" in value:  # ends the issuer in what users are found by
        return "must not have `|` in it"
    if production and not value.startswith("https://"):
        return "must begin with https:// in production"
    return None


def _is_redirect(value: str, production: bool) -> bool:
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    plain = value.isascii() and value.isprintable() and not set(value) & set(' #<>"\\^`{|}')
    if not plain or len(value) > _MOST_ADDRESS:
        return False
    if parts.scheme in {"http", "https"}:
        is_safe = parts.scheme == "https" or not production or is_loopback(value)
        return bool(parts.hostname) and parts.username is None and is_safe
    return "." in parts.scheme
