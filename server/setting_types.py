"""Types of settings. Their checks refuse also values that look right and never work."""

import ipaddress
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, AnyHttpUrl, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import NoDecode

# MongoDB keeps these for itself, and has no transactions in them.
_DATABASES_OF_MONGODB = frozenset({"admin", "config", "local"})
_DEFAULT_PORTS = {"http": 80, "https": 443}
_HOST_NAME = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?")


def checked(check: Callable[[str], object]) -> AfterValidator:
    """A text, or a secret, that the check lets pass; it raises ValueError."""

    def validate(value: Any) -> Any:
        if value is not None:
            check(value.get_secret_value() if isinstance(value, SecretStr) else value)
        return value

    return AfterValidator(validate)


def check_database_name(value: str) -> None:
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,38}", value):
        raise ValueError("must be 1 to 38 letters, digits, `-` or `_`")
    if value in _DATABASES_OF_MONGODB:
        raise ValueError(f"must not be {value}, which MongoDB keeps for itself")


def check_mongodb_uri(value: str) -> None:
    if not value.startswith(("mongodb://", "mongodb+srv://")):
        raise ValueError("must start with mongodb:// or mongodb+srv://")
    try:
        path = urlsplit(value).path
    except ValueError:  # its message quotes the address
        raise ValueError(
            "must be mongodb://user:password@host:port/database, special characters in the password as %XX"
        ) from None
    if name := path.strip("/"):
        try:
            check_database_name(name)
        except ValueError as error:
            raise ValueError(f"its database {error}") from None


def _ip_address(value: str) -> None:
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        address = None
    mapped = isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None
    never = address is None or address.is_multicast or mapped or "%" in value
    if never or value == "255.255.255.255":
        raise ValueError(
            "must be an IP address of this machine such as 127.0.0.1, or 0.0.0.0 or :: for all; "
            "a name is none"
        )


def check_http_url(value: str) -> None:
    try:
        parts = AnyHttpUrl(value)
    except ValidationError:
        raise ValueError("must be an http:// or https:// address") from None
    if parts.username or parts.password or parts.query or parts.fragment or parts.port == 0:
        raise ValueError("must be an http:// or https:// address without a user, `?` and `#`")
    # The text is used as it is, and not as a browser would mend it.
    if not re.fullmatch(r"https?://[^/\\\s]+(/\S*)?", value) or ".." in (parts.host or ""):
        raise ValueError("must be an http:// or https:// address")


def _collector(value: str) -> None:
    check_http_url(value)
    if urlsplit(value).path.strip("/"):
        raise ValueError(
            "must be the address of a gRPC port such as http://localhost:4317; no path"
        )


def _is_origin(text: str) -> bool:
    """Whether it is an origin as browsers send it."""
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return False
    shown = f"[{host}]" if ":" in host else host
    if port is not None and port != _DEFAULT_PORTS.get(parts.scheme):
        shown += f":{port}"
    known = parts.scheme in _DEFAULT_PORTS and (":" in host or _HOST_NAME.fullmatch(host))
    return bool(known) and f"{parts.scheme}://{shown}" == text


def _origin(value: str) -> None:
    if not _is_origin(value):
        raise ValueError(
            "must be an origin such as https://finlink.example: in lower case, no path, no `/` at the "
            "end, no default port"
        )


def _origins(value: tuple[str, ...]) -> tuple[str, ...]:
    if not all(map(_is_origin, value)):
        raise ValueError(
            "must be origins as browsers send them, such as https://app.example, separated by "
            "commas: in lower case, no path, no default port, no `*`"
        )
    return value


def _cidrs(value: tuple[str, ...]) -> tuple[str, ...]:
    try:
        return tuple(str(ipaddress.ip_network(cidr)) for cidr in value)
    except ValueError as error:
        raise ValueError(
            f"must be CIDRs such as 10.0.0.0/8, separated by commas; {error}"
        ) from None


def host_and_port(value: str) -> tuple[str, int]:
    """Of HOST:PORT; an IPv6 address is in brackets, here and not in what is returned. Raises ValueError."""
    host, _, port = value.rpartition(":")
    valid = port.isascii() and port.isdecimal() and 0 < int(port) < 65_536
    if valid and host.startswith("[") and host.endswith("]"):
        ipaddress.IPv6Address(host[1:-1])
        return host[1:-1], int(port)
    if not (valid and _HOST_NAME.fullmatch(host)):
        raise ValueError("must be HOST:PORT")
    return host, int(port)


def _host_port(value: str) -> None:
    host, _ = host_and_port(value)
    if ":" in host:
        raise ValueError("must be HOST:PORT with a name or an IPv4 address")


def _split(value: object) -> object:
    if isinstance(value, str):
        return tuple(word.strip() for word in value.split(",") if word.strip())
    return value


def _expanded(value: Path) -> Path:
    try:
        return value.expanduser()
    except RuntimeError:
        raise ValueError(f"must be a path; there is no user {value.parts[0]}") from None


Port = Annotated[int, Field(ge=1, le=65535)]
IpAddress = Annotated[str, checked(_ip_address)]
HttpUrl = Annotated[str, checked(check_http_url)]
Collector = Annotated[str, checked(_collector)]
HostPort = Annotated[str, checked(_host_port)]
# A shell turns `~` into the user's folder; a file of settings has no shell.
FilePath = Annotated[Path, AfterValidator(_expanded)]
Origin = Annotated[str, checked(_origin)]
Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]  # separated by commas
Origins = Annotated[Words, AfterValidator(_origins)]
Cidrs = Annotated[Words, AfterValidator(_cidrs)]
