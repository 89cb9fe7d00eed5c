"""Outside providers for tests: `oidc-provider-mock`, each a process of its own, with users set by code."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx

CLIENT_ID, CLIENT_SECRET = "finlink", "never-to-be-shown-0a9f7q2w8zx3lm"
REDIRECT = "https://app.example/callback"
REDIRECTS = f"{REDIRECT}, com.example.app:/callback"
_START_SECONDS = 60.0


@dataclass(frozen=True)
class OutsideProvider:
    """An OpenID provider at which anybody can sign in as anybody."""

    issuer: str

    async def sign_in(self, authorization_url: str, sub: str, **claims: Any) -> dict[str, str]:
        """A user signs in at the provider's page; what comes back to the `redirectUri`."""
        async with httpx.AsyncClient() as browser:
            made = await browser.put(f"{self.issuer}/users/{sub}", json=claims)
            assert made.is_success, made.text
            assert authorization_url.startswith(f"{self.issuer}/")
            reply = await browser.post(authorization_url, data={"sub": sub})
        assert reply.status_code == 302, reply.text
        target = urlsplit(reply.headers["location"])
        assert f"{target.scheme}://{target.netloc}{target.path}" == REDIRECT
        return dict(parse_qsl(target.query))


def settings(ports: Mapping[str, int]) -> dict[str, str]:
    """The settings of a Finlink for providers at ports of this machine, by name."""
    return {"OIDC_PROVIDERS": ",".join(ports)} | {
        f"OIDC_{name.upper()}_{field}": value
        for name, port in ports.items()
        for field, value in (
            ("ISSUER", f"http://127.0.0.1:{port}"),
            ("CLIENT_ID", CLIENT_ID),
            ("CLIENT_SECRET", CLIENT_SECRET),
            ("REDIRECTS", REDIRECTS),
        )
    }


@contextmanager
def running(*ports: int) -> Iterator[list[OutsideProvider]]:
    """One provider at each port, once all respond."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "--port", str(port)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        for port in ports
    ]  # fmt: skip
    try:
        found = [OutsideProvider(f"http://127.0.0.1:{port}") for port in ports]
        for each in found:
            _wait(each)
        yield found
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()


def _wait(provider: OutsideProvider) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{provider.issuer}/jwks").is_success:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError(f"{provider.issuer} does not respond")
