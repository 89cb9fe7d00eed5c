"""`python -m server rotate-signing-key`: the next key for access tokens, and with `--now` the only one."""

import json
import sys
from collections.abc import Sequence

from server.cache.generations import Generations
from server.commands.database import audit_trail, key_ring, on_database
from server.config import ConfigError, Settings
from server.core.clock import CLOCK
from server.domains.identity.settings import IdentitySettings
from server.domains.identity.tokens.key_rotation import KeyRotation
from server.domains.identity.tokens.model import StoredSigningKey
from server.domains.identity.tokens.revocations import RevocationWriter
from server.domains.identity.tokens.store import RevocationStore, SigningKeyStore
from server.storage.changes import RecordedChanges
from server.storage.driver import Database


def rotate_signing_key(*, now: bool, **given: object) -> None:
    """Settings that are `given` beat the environment. Exits with one line if it cannot."""

    async def work(
        database: Database, settings: Settings
    ) -> tuple[StoredSigningKey, Sequence[str]]:
        identity = settings.of(IdentitySettings)
        changes = RecordedChanges(database, await audit_trail(database, settings))
        # No worker of this host looks at these generations: the keys of revocations are read every 2 s.
        revoke = RevocationWriter(
            RevocationStore(database), Generations(), identity.token_life, CLOCK
        )
        store = SigningKeyStore(database, key_ring(settings))
        rotation = KeyRotation(store, revoke, changes, identity.algorithm, CLOCK)
        return await rotation.replace() if now else (await rotation.next(), ())

    key, dropped = on_database(work, check=_check, failed="Run this again.", **given)
    if sys.stdout.isatty():
        print(sentence(key, dropped, now=now))
    else:
        facts = {"kid": key.id, "signsFrom": key.signs_from.isoformat(), "dropped": list(dropped)}
        print(json.dumps(facts))


def sentence(key: StoredSigningKey, dropped: Sequence[str], *, now: bool) -> str:
    """The outcome, for people."""
    if now:
        return (
            f"{key.id} signs access tokens now. Dropped: {', '.join(dropped) or 'none'}. "
            "Tokens that those have signed expire within two seconds; clients refresh them."
        )
    moment = f"{key.signs_from:%Y-%m-%d %H:%M:%S} UTC"
    return f"{key.id} is published, and signs access tokens from {moment} on."


def _check(settings: Settings) -> None:
    """Raises ConfigError where there is no key to rotate."""
    key_ring(settings)
    if settings.of(IdentitySettings).algorithm == "HS256":
        raise ConfigError(
            "JWT_SECRET is what signs access tokens; to replace it, set another one and restart the servers"
        )
