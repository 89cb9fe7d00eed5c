"""The domains. A new one is a folder, and a line here."""

from collections.abc import Sequence

from google.protobuf.descriptor import FileDescriptor

from server.config import Settings
from server.domains.audit.domain import DOMAIN as AUDIT
from server.domains.connectors.domain import DOMAIN as CONNECTORS
from server.domains.exports.domain import DOMAIN as EXPORTS
from server.domains.users.domain import DOMAIN as USERS
from server.kernel import Domain, Indexes, Kernel, Parts
from server.storage.cache_feed import Followed

# Users after all that keep something of a user: they ask those before one is deleted. Exports ask all.
DOMAINS: Sequence[Domain] = (AUDIT, CONNECTORS, USERS, EXPORTS)

CONTRACT: Sequence[FileDescriptor] = [file for domain in DOMAINS for file in domain.contract]
FOLLOWED: Sequence[Followed] = [each for domain in DOMAINS for each in domain.followed]


def indexes(settings: Settings) -> Indexes:
    return {name: models for each in DOMAINS for name, models in each.indexes(settings).items()}


def build(kernel: Kernel) -> Sequence[Parts]:
    """All domains, each built with the parts of those before it."""
    built: list[Parts] = []
    for domain in DOMAINS:
        built.append(domain.build(kernel, built))
    return built
