"""What a user is."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from datetime import date, datetime


@dataclass(frozen=True, slots=True)
class Profile:
    """Who a user is. What was never given is None."""

    first_name: str | None = None
    last_name: str | None = None
    date_of_birth: date | None = None
    phone_number: str | None = None
    city: str | None = None
    country: str | None = None
    income: float | None = None  # a year's, in the user's currency
    risk_tolerance: str | None = None


@dataclass(frozen=True, slots=True)
class Notifications:
    email: bool = True
    sms: bool = False
    push: bool = True


@dataclass(frozen=True, slots=True)
class Preferences:
    """How a user wants to be served; the field defaults are the product's."""

    currency: str = "INR"
    language: str = "en"
    notifications: Notifications = field(default_factory=Notifications)


@dataclass(frozen=True, slots=True)
class Metadata:
    """Where a user came from."""

    source: str | None = None
    referral_code: str | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class User:
    id: str  # 24 hexadecimal digits
    user_id: str
    email: str  # lower case
    profile: Profile
    preferences: Preferences
    status: str
    email_verified: bool
    metadata: Metadata
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class NewUser:
    """A user to be created, as the caller gave it."""

    user_id: str
    email: str
    profile: Profile
    preferences: Preferences
    metadata: Metadata


def given(new: NewUser) -> list[str]:
    """Names of the fields that a new user came with."""
    sections: dict[str, Profile | Metadata] = {"profile": new.profile, "metadata": new.metadata}
    return [
        "email",
        *(
            f"{section}.{each.name}"
            for section, values in sections.items()
            for each in fields(values)
            if getattr(values, each.name) not in {None, ()}
        ),
    ]


@dataclass(frozen=True, slots=True)
class UserFilter:
    """Which users a list holds; None means all. `city` is compared without regard to case."""

    status: str | None = None
    city: str | None = None
    risk_tolerance: str | None = None

    @property
    def by_status_only(self) -> bool:
        """Whether it asks for nothing but a status, or for all."""
        return self.city is None and self.risk_tolerance is None

    def as_dict(self) -> dict[str, str | None]:
        return {"status": self.status, "city": self.city, "riskTolerance": self.risk_tolerance}


@dataclass(frozen=True, slots=True)
class UserPage:
    users: list[User]
    page: int
    total: int
    limit: int
    next_page_token: str | None

    @property
    def total_pages(self) -> int:
        return -(-self.total // self.limit)


# A change of stored fields by their path in the document: a value, or None to remove the field.
Changes = dict[str, object]
