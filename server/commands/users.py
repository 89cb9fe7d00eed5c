"""`python -m server users`: what operators do about users."""

from typing import Annotated

import typer

from server.cache.generations import Generations
from server.commands.database import audit_trail, key_ring, on_database
from server.config import ConfigError, Settings
from server.core.clock import CLOCK
from server.domains.identity.sessions.store import SessionStore
from server.domains.identity.settings import IdentitySettings
from server.domains.identity.signin.dependents import RoleDependents
from server.domains.identity.tokens.revocations import RevocationWriter
from server.domains.identity.tokens.store import RevocationStore
from server.domains.users.administration.model import UserChange
from server.domains.users.administration.service import UserAdministration
from server.domains.users.errors import UserNotFound
from server.domains.users.store import UserStore
from server.storage.changes import RecordedChanges
from server.storage.driver import Database

users = typer.Typer(name="users", no_args_is_help=True, help="Make users admins.")


@users.callback()
def _group() -> None:
    """Make users admins."""


@users.command("grant-admin")
def grant_admin(
    user_id: Annotated[str, typer.Argument(help="The user's identifier.", metavar="USER_ID")],
) -> None:
    """Give a user the role `admin`, as no API call can for the first one.

    The user's access tokens expire, and the next refresh has the role. It works on MONGODB_URI, else on the
    database of the running `run`. Repeating it changes nothing.
    """
    grant(user_id)
    print(f"{user_id} is an admin; access tokens follow within two seconds.")


def grant(user_id: str, **given: object) -> None:
    """Settings that are `given` beat the environment. Exits with one line if it cannot."""

    async def work(database: Database, settings: Settings) -> None:
        changes = RecordedChanges(database, await audit_trail(database, settings))
        # No worker of this host looks at these generations: revocations are read every 2 s.
        revoke = RevocationWriter(
            RevocationStore(database),
            Generations(),
            settings.of(IdentitySettings).token_life,
            CLOCK,
        )
        follow = RoleDependents(database, SessionStore(database), revoke, CLOCK)
        administration = UserAdministration(changes, UserStore(database), [follow])
        try:
            await administration.change(user_id, UserChange(role="admin"))
        except UserNotFound:
            raise ConfigError(f"there is no user {user_id}; register or create one first") from None

    on_database(work, check=key_ring, failed="Run this again.", **given)
