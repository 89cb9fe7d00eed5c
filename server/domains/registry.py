"""The domains: every folder here that has a `domain.py`."""

from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path

from google.protobuf.descriptor import FileDescriptor

from server.kernel import (
    GATHERS_CHECKS,
    GATHERS_DEPENDENTS,
    GATHERS_EXPORTERS,
    Domain,
    Kernel,
    Parts,
)
from server.storage.cache_feed import Followed


def _found() -> Iterator[Domain]:
    for path in sorted(Path(__file__).parent.glob("*/domain.py")):
        domain: Domain = import_module(f"server.domains.{path.parent.name}.domain").DOMAIN
        yield domain


# In the order in which they are built.
DOMAINS: Sequence[Domain] = sorted(_found(), key=lambda domain: domain.stage)

CONTRACT: Sequence[FileDescriptor] = [file for domain in DOMAINS for file in domain.contract]
FOLLOWED: Sequence[Followed] = [each for domain in DOMAINS for each in domain.followed]


def build(kernel: Kernel) -> Sequence[Parts]:
    """All domains, each built with the parts of those before it.

    Raises TypeError where one comes too late to be asked by those that ask all others.
    """
    built: list[Parts] = []
    for domain in DOMAINS:
        parts = domain.build(kernel, built)
        for what, stage in (
            (parts.dependents, GATHERS_DEPENDENTS), (parts.exporters, GATHERS_EXPORTERS),
            (parts.checks, GATHERS_CHECKS),
        ):  # fmt: skip
            if what and domain.stage >= stage:
                raise TypeError(f"{what[0]} must be built before stage {stage}, which asks it")
        built.append(parts)
    return built
