"""Users for tests."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from bson import ObjectId

from server.core.pages import Page, PageRequest
from server.core.users import Metadata, NewUser, Notifications, Preferences, Profile, User
from server.domains.users.model import UserFilter
from server.domains.users.store import UserStore

START = datetime(2024, 1, 1, tzinfo=UTC)


def new_user(user_id: str = "user_12345", email: str | None = None) -> NewUser:
    """A user with everything a caller can give."""
    return NewUser(
        user_id=user_id,
        email=email or f"{user_id.lower()}@example.com",
        profile=Profile(
            first_name="John",
            last_name="Doe",
            date_of_birth=date(1990, 1, 1),
            phone_number="+91-9876543210",
            city="Bangalore",
            country="India",
            income=1_500_000.0,
            risk_tolerance="medium",
        ),
        preferences=Preferences(
            currency="USD", language="hi", notifications=Notifications(False, True, False)
        ),
        metadata=Metadata(source="web", referral_code="R1", tags=("a", "b")),
    )


def bare_user(user_id: str, email: str | None = None) -> NewUser:
    """A user with nothing but what is needed."""
    return NewUser(
        user_id, email or f"{user_id.lower()}@example.com", Profile(), Preferences(), Metadata()
    )


def document(user_id: str, minutes: float = 0, **fields: Any) -> dict[str, Any]:
    """A stored user as another tool may write it, `minutes` after START."""
    return {
        "_id": ObjectId(),
        "userId": user_id,
        "email": f"{user_id}@example.com",
        "createdAt": START + timedelta(minutes=minutes),
        **fields,
    }


async def page_of(store: UserStore, where: UserFilter, number: int, limit: int) -> Page[User]:
    return await store.list(where, PageRequest(number, None, limit))


async def page_after(store: UserStore, where: UserFilter, token: str, limit: int) -> Page[User]:
    return await store.list(where, PageRequest(None, token, limit))
