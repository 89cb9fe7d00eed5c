"""The metrics of calls to outside providers."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Literal, TypeAlias, get_args

from prometheus_client import Counter

from server.domains.identity.external.model import CodeRefused, ExternalFailure, ProviderDown

Call: TypeAlias = Literal["discovery", "keys", "tokens", "user_info"]
Outcome: TypeAlias = Literal["succeeded", "refused", "failed", "unavailable"]

CALLS = Counter(
    "finlink_provider_calls",
    "Calls to outside providers, by outcome: succeeded, refused (a code that is used, old or made up), "
    "failed (a reply that does not hold), unavailable (no reply, HTTP 429 or 5xx)",
    ["provider", "call", "outcome"],
)


def show_zeros(providers: Iterable[str]) -> None:
    """Series exist before anything happens, so that rates can be taken of the first events."""
    for provider in providers:
        for call in get_args(Call):
            for outcome in get_args(Outcome):
                CALLS.labels(provider, call, outcome)


@contextmanager
def counted(provider: str, call: Call) -> Iterator[None]:
    """Count a call by how it ends, the check of its reply included. One that is cancelled does not count."""
    try:
        yield
    except CodeRefused:
        CALLS.labels(provider, call, "refused").inc()
        raise
    except ExternalFailure:
        CALLS.labels(provider, call, "failed").inc()
        raise
    except ProviderDown:
        CALLS.labels(provider, call, "unavailable").inc()
        raise
    CALLS.labels(provider, call, "succeeded").inc()
