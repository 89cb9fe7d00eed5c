"""Addresses of clients, and the networks that they stand for."""

import ipaddress
import re
from urllib.parse import unquote

_HOST_BITS_OF_IPV6 = 64  # that whoever has a line may choose
_GRPC_PEER = re.compile(r"ipv[46]:(.*):\d+")  # of a stub that calls the server itself


def network_of(address: str) -> str | None:
    """The client's address without what a client can vary: an IPv6 address is its /64.

    None for what is no address, such as the peer of a unix socket.
    """
    peer = _GRPC_PEER.fullmatch(address)
    host = unquote(peer[1]).strip("[]") if peer else address
    try:
        parsed = ipaddress.ip_address(host)
    except ValueError:
        return None
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(parsed), _HOST_BITS_OF_IPV6), strict=False))
