"""The login methods of users."""

from datetime import datetime

from server.core.model import Id, Model


class Password(Model, frozen=True):
    hash: str
    changed_at: datetime


class Account(Model, frozen=True):
    """The login methods of one user."""

    id: Id  # `User.id`
    user_id: str
    password: Password | None = None
    # Grows when the devices that have signed in are to count as strangers again.
    device_epoch: int = 0
