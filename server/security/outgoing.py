"""Connections to other people's servers: whom to trust, and through which proxy."""

import ipaddress
import ssl
from urllib.request import getproxies, proxy_bypass

import certifi
from yarl import URL


def is_loopback(url: str) -> bool:
    """Whether the address is this machine's own, by name or number."""
    try:
        host = URL(url).host or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def tls_context() -> ssl.SSLContext:
    """Trusts Mozilla's authorities, and those of the system and of SSL_CERT_FILE."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


def proxy_for(url: str) -> str | None:
    """The proxy that the environment names for an address: for the world, not for this machine."""
    if is_loopback(url):
        return None
    proxies, address = getproxies(), URL(url)
    if proxy_bypass(address.host or ""):
        return None
    return proxies.get(address.scheme) or proxies.get("all")
