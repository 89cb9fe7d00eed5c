"""Users, as all domains know them."""

from datetime import date, datetime

from msgspec.structs import asdict

from server.core.errors import ApiError
from server.core.model import Id, Model


class UserExists(ApiError):
    """`fields` names `userId` or `email`."""

    code = "USER_EXISTS"
    default_message = "User already exists"


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
    email: str | None = None  # lower case
    profile: Profile = Profile()
    preferences: Preferences = Preferences()
    metadata: Metadata = Metadata()

    @property
    def given(self) -> list[str]:
        """Names of the fields that it came with."""
        sections = {"profile": self.profile, "metadata": self.metadata}
        return (["email"] if self.email else []) + [
            f"{section}.{name}"
            for section, values in sections.items()
            for name, value in asdict(values).items()
            if value not in {None, ()}
        ]


class User(NewUser, frozen=True, kw_only=True):
    id: Id
    status: str = "active"
    role: str = "user"
    email_verified: bool = False
    phone_verified: bool = False
    mfa_enabled: bool = False
    last_login_at: datetime | None = None
    created_at: datetime
    updated_at: datetime

    @property
    def is_active(self) -> bool:
        return self.status == "active"

    @property
    def name(self) -> str | None:
        """First and last name; None if the user has neither."""
        names = filter(None, (self.profile.first_name, self.profile.last_name))
        return " ".join(names) or None
