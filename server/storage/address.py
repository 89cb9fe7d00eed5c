"""MongoDB's address as the driver reads it."""

import re

from pymongo.errors import InvalidURI
from pymongo.uri_parser import parse_uri

from server.config import ConfigError

# The words by which the driver complains of hosts and ports, not of options.
_HOSTS = re.compile(r"(?i)\b(dns|host|port)\b")


def members_of(uri: str) -> list[tuple[str, int]]:
    """Host and port of each member. Raises ConfigError where the driver could not use the address.

    The name of a `mongodb+srv://` address is looked up.
    """
    # Here as well as where it connects: there the driver only warns of options that it does not know.
    try:
        nodes: list[tuple[str, int]] = parse_uri(uri, warn=False)["nodelist"]
    except Exception as error:  # noqa: BLE001 - it has many kinds for a wrong address
        raise ConfigError(unusable(error)) from None
    return nodes


def unusable(error: Exception) -> str:
    """Why the driver cannot use an address. Its message may quote the address, so it is not shown."""
    if isinstance(error, OSError):
        return f"MONGODB_URI: a file that it names cannot be used ({error.strerror or 'not PEM'})."
    if isinstance(error, InvalidURI) or _HOSTS.search(str(error)):
        return (
            "MONGODB_URI is not a usable MongoDB address. Its form is "
            "mongodb://user:password@host:port/?replicaSet=name; its host name must resolve, and "
            "special characters in the password are written as %XX."
        )
    return (
        "MONGODB_URI: MongoDB's driver refuses its options. The part after `?` must be NAME=VALUE&…, "
        "with names and values as MongoDB documents them."
    )
