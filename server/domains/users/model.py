"""Users."""

from datetime import date, datetime

from msgspec.structs import asdict

from server.core.model import Id, Model


class Profile(Model, frozen=True):
    """Who a user is. Fields that were never given are None."""

    first_name: str | None = None
    last_name: str | None = None
    date_of_birth: date | None = None
    phone_number: str | None = None
    city: str | None = None
    country: str | None = None
    income: float | None = None  # a year's, in the user's currency
    risk_tolerance: str | None = None


class Notifications(Model, frozen=True):
    email: bool = True
    sms: bool = False
    push: bool = True


class Preferences(Model, frozen=True):
    """How a user wants to be served; the field defaults are the product's."""

    currency: str = "INR"
    language: str = "en"
    notifications: Notifications = Notifications()


class Metadata(Model, frozen=True):
    """Where a user came from."""

    source: str | None = None
    referral_code: str | None = None
    tags: tuple[str, ...] = ()


class NewUser(Model, frozen=True):
    """A user to be created, as the caller gave it."""

    user_id: str
    email: str  # lower case
    profile: Profile = Profile()
    preferences: Preferences = Preferences()
    metadata: Metadata = Metadata()

    @property
    def given(self) -> list[str]:
        """Names of the fields that it came with."""
        sections = {"profile": self.profile, "metadata": self.metadata}
        return ["email"] + [
            f"{section}.{name}"
            for section, values in sections.items()
            for name, value in asdict(values).items()
            if value not in {None, ()}
        ]


class User(NewUser, frozen=True, kw_only=True):
    id: Id
    status: str = "active"
    email_verified: bool = False
    created_at: datetime
    updated_at: datetime


class UserFilter(Model, frozen=True):
    """Which users a list has; None means all. `city` is compared without regard to case."""

    status: str | None = None
    city: str | None = None
    risk_tolerance: str | None = None
