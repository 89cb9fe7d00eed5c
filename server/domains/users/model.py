"""Questions about users."""

from server.core.model import Model


class UserFilter(Model, frozen=True):
    """Which users a list has; None means all. `city` is compared without regard to case."""

    status: str | None = None
    city: str | None = None
    risk_tolerance: str | None = None
