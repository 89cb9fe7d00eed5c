"""Prepares MongoDB before a worker serves: indexes, Finlink's own keys, API keys."""

from server.config import ConfigError, Settings
from server.delivery import store as deliveries
from server.delivery.sealing import KEY_NAME as DELIVERY_KEY
from server.domains import registry
from server.kernel import Indexes, Secrets
from server.security.encryption import Undecipherable
from server.security.ring import KeyRing, MissingKey
from server.storage import api_keys, counters, data_keys, driver, idempotency, keyed_secrets
from server.storage import leases as lease_store
from server.storage.api_keys import ApiKeyStore, CurrentKeys
from server.storage.audit import CODES_KEY
from server.storage.errors import translate
from server.storage.indexes import (
    BUILD_SECONDS,
    NoImages,
    drop_indexes,
    ensure_images,
    ensure_indexes,
)
from server.storage.keyed_secrets import KeyedSecrets


def indexes(settings: Settings) -> Indexes:
    shared = (lease_store, idempotency, api_keys, data_keys, keyed_secrets, counters, deliveries)
    found = [each.indexes(settings) for each in registry.DOMAINS]
    found += [store.INDEXES for store in shared]
    return {name: models for part in found for name, models in part.items()}


async def prepare(
    database: driver.Database, settings: Settings, index_seconds: float = BUILD_SECONDS
) -> None:
    """Create indexes, and have images kept. Raises ConfigError if MongoDB does not respond or cannot do
    so."""
    try:
        await ensure_indexes(database, indexes(settings), index_seconds)
        for domain in registry.DOMAINS:
            await drop_indexes(database, domain.retired)
            await ensure_images(database, domain.images)
    except NoImages:
        raise ConfigError(
            "MONGODB_URI: watching needs MongoDB 6.0 or newer, and a user who may change collections"
        ) from None
    except Exception as error:
        if translate(error) is None:
            raise
        raise ConfigError(
            f"MONGODB_URI: MongoDB does not respond ({type(error).__name__}); is it running?"
        ) from None


async def keyed_secrets_of(database: driver.Database, ring: KeyRing) -> Secrets:
    """Raises ConfigError for a wrong ring."""
    get = KeyedSecrets(database, ring).get
    try:
        return Secrets(
            user_ids=await get("platform user ids"),
            requests=await get("requests of idempotency keys"),
            answers=await get("replies of idempotency keys"),
            audit=await get(CODES_KEY),
            deliveries=await get(DELIVERY_KEY),
            of_domains={
                name: await get(name) for domain in registry.DOMAINS for name in domain.secrets
            },
        )
    except MissingKey as error:
        raise ConfigError(f"ENCRYPTION_KEYS: {error}") from None
    except Undecipherable as error:
        raise ConfigError(
            f"ENCRYPTION_KEYS: what this database holds {error}; "
            "put back the key that had this id when it was sealed"
        ) from None


async def keys_of(database: driver.Database, settings: Settings) -> CurrentKeys:
    """The API keys. Raises ConfigError where production would start open."""
    needed = settings.production and not settings.allow_anonymous
    closed = needed or settings.auth_required == "always"
    keys = CurrentKeys(ApiKeyStore(database), settings.fixed_keys, closed=closed)
    if needed:
        await keys.read()
        if not keys.exist:
            raise ConfigError(
                "API_KEYS: without keys anybody may call. `python -m server keys create NAME` makes "
                "one; ALLOW_ANONYMOUS=true starts without, behind something that guards it"
            )
    return keys
