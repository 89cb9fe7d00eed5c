"""The one mongod that all contestants share."""

from __future__ import annotations

from dataclasses import replace

from bench.folders import DATA, LOGS
from server.edge.programs import find_mongod
from server.supervisor import mongod
from server.supervisor.process import ProcessSpec
from server.supervisor.specs import env_without_secrets

CACHE_GB = "2"  # a million users and as many connectors with their indexes; the same for all


def spec(port: int) -> ProcessSpec:
    """The product's own mongod with a larger cache, so that disks are not what is measured."""
    folder = DATA / "mongo"
    folder.mkdir(parents=True, exist_ok=True)
    LOGS.mkdir(parents=True, exist_ok=True)
    product = mongod.spec(find_mongod(), port, folder, LOGS / "mongod.log", env_without_secrets())
    words = list(product.argv)
    words[words.index("--wiredTigerCacheSizeGB") + 1] = CACHE_GB
    return replace(product, argv=tuple(words), ready_timeout=120, stop_timeout=60)


def uri(port: int) -> str:
    return mongod.uri(port)
