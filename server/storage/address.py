"""MongoDB's address as the driver reads it."""

from pymongo.errors import ConfigurationError, InvalidURI
from pymongo.uri_parser import parse_uri

from server.config import ConfigError


def members_of(uri: str) -> list[tuple[str, int]]:
    """Host and port of each member. Raises ConfigError where the driver could not use the address.

    The name of a `mongodb+srv://` address is looked up.
    """
    try:
        nodes: list[tuple[str, int]] = parse_uri(uri, warn=False)["nodelist"]
    except (InvalidURI, ConfigurationError, ValueError):
        # The driver's message may quote the URI.
        raise ConfigError(
            "MONGODB_URI is not a usable MongoDB address. Its form is "
            "mongodb://user:password@host:port/?replicaSet=name; its host name must resolve, and "
            "special characters in the password are written as %XX."
        ) from None
    return nodes
