"""Requests and replies."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, EmailStr, Field
from pydantic.alias_generators import to_camel

Text = Annotated[str, Field(max_length=100)]
UserId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_]{1,64}$")]
Phone = Annotated[str, Field(pattern=r"^\+[0-9][0-9 -]{6,30}$")]
Risk = Literal["low", "medium", "high"]
Status = Literal["active", "inactive", "suspended"]


class Model(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class ProfileBody(Model):
    model_config = ConfigDict(extra="forbid")

    first_name: Text | None = None
    last_name: Text | None = None
    phone_number: Phone | None = None
    city: Text | None = None
    country: Text | None = None
    date_of_birth: date | None = None
    income: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    risk_tolerance: Risk | None = None


class UserBody(ProfileBody):
    user_id: UserId
    email: EmailStr


class Profile(Model):
    first_name: str | None = None
    last_name: str | None = None
    date_of_birth: date | None = None
    phone_number: str | None = None
    city: str | None = None
    country: str | None = None
    income: float | None = None
    risk_tolerance: str | None = None


class Notifications(Model):
    email: bool = True
    sms: bool = False
    push: bool = True


class Preferences(Model):
    currency: str = "INR"
    language: str = "en"
    notifications: Notifications = Notifications()


class Metadata(Model):
    source: str | None = None
    referral_code: str | None = None
    tags: list[str] = []


class User(Model):
    id: str
    user_id: str
    email: str
    profile: Profile = Profile()
    preferences: Preferences = Preferences()
    status: str = "active"
    email_verified: bool = False
    metadata: Metadata = Metadata()
    created_at: datetime
    updated_at: datetime


class Reply(Model):
    success: bool = True
    timestamp: datetime = Field(default_factory=lambda: datetime.now(UTC))


class UserReply(Reply):
    data: User


class UserCreated(UserReply):
    message: str = "User created successfully"


class UpdatedProfile(Model):
    user_id: str
    profile: Profile
    updated_at: datetime


class ProfileReply(Reply):
    message: str = "Profile updated successfully"
    data: UpdatedProfile


class Pagination(Model):
    current_page: int
    total_pages: int
    total_users: int
    has_next: bool
    has_prev: bool


class UserList(Model):
    users: list[User]
    pagination: Pagination


class UserListReply(Reply):
    data: UserList


class LastRun(Model):
    state: str
    finished_at: datetime
    sync_id: str | None = None
    error_code: str | None = None
    missing: list[str] = []


class Connector(Model):
    id: str
    user_id: str
    platform: str
    connection_status: str
    session_id: str | None = None
    connected_at: datetime | None = None
    disconnected_at: datetime | None = None
    last_sync_at: datetime | None = None
    session_duration: int = 0
    sync_interval: int = 5
    permissions: list[str] = []
    account_type: str | None = None
    expires_soon: bool = False
    last_run: LastRun | None = None
    failing: bool = False


class ConnectorList(Model):
    connectors: list[Connector]
    total_connectors: int
    active_connections: int


class ConnectorListReply(Reply):
    data: ConnectorList


class Counts(Model):
    total_connections: int = 0
    active_connections: int = 0
    disconnected_connections: int = 0
    error_connections: int = 0
    expired_connections: int = 0
    failing_connections: int = 0


class PlatformCounts(Model):
    total: int = 0
    active: int = 0
    disconnected: int = 0
    error: int = 0
    expired: int = 0
    failing: int = 0


class Summary(Model):
    summary: Counts
    by_platform: dict[str, PlatformCounts]


class SummaryReply(Reply):
    data: Summary
