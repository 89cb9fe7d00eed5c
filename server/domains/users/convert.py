"""Users between the contract's messages and the domain; pure."""

from __future__ import annotations

from datetime import date

from finlink.users.v1 import user_pb2 as pb
from finlink.users.v1 import user_service_pb2 as rpc
from google.protobuf.message import Message

from server.domains.users import model
from server.domains.users.model import (
    Changes,
    Metadata,
    NewUser,
    Notifications,
    Preferences,
    Profile,
    User,
)
from server.rpc.formats import parse_date
from server.rpc.times import timestamp

# What a preference goes back to, by document path.
_DEFAULTS: dict[str, object] = {
    "preferences.currency": model.Preferences().currency,
    "preferences.language": model.Preferences().language,
    "preferences.notifications.email": model.Notifications().email,
    "preferences.notifications.sms": model.Notifications().sms,
    "preferences.notifications.push": model.Notifications().push,
}


def new_user(request: rpc.CreateUserRequest) -> NewUser:
    preferences = request.preferences
    wanted = preferences.notifications
    defaults = Preferences()
    return NewUser(
        user_id=request.user_id,
        email=request.email.lower(),
        profile=Profile(
            first_name=_sent(request, "first_name"),
            last_name=_sent(request, "last_name"),
            date_of_birth=_date(_sent(request, "date_of_birth")),
            phone_number=_sent(request, "phone_number"),
            city=_sent(request, "city"),
            country=_sent(request, "country"),
            income=request.income if request.HasField("income") else None,
            risk_tolerance=_sent(request, "risk_tolerance"),
        ),
        preferences=Preferences(
            currency=_sent(preferences, "currency") or defaults.currency,
            language=_sent(preferences, "language") or defaults.language,
            notifications=Notifications(
                email=wanted.email if wanted.HasField("email") else defaults.notifications.email,
                sms=wanted.sms if wanted.HasField("sms") else defaults.notifications.sms,
                push=wanted.push if wanted.HasField("push") else defaults.notifications.push,
            ),
        ),
        metadata=Metadata(
            source=_sent(request.metadata, "source"),
            referral_code=_sent(request.metadata, "referral_code"),
            tags=tuple(request.metadata.tags),
        ),
    )


def profile_changes(request: rpc.UpdateUserProfileRequest) -> Changes:
    changes = _changes(request, "profile")
    born = changes.get("profile.dateOfBirth")
    if isinstance(born, str):
        changes["profile.dateOfBirth"] = parse_date(born)
    return changes


def preference_changes(request: rpc.UpdateUserPreferencesRequest) -> Changes:
    changes = _changes(request, "preferences")
    return {path: _DEFAULTS[path] if value is None else value for path, value in changes.items()}


def metadata_changes(request: rpc.UpdateUserMetadataRequest) -> Changes:
    return _changes(request, "metadata")


def _changes(
    request: rpc.UpdateUserProfileRequest
    | rpc.UpdateUserPreferencesRequest
    | rpc.UpdateUserMetadataRequest,
    section: str,
) -> Changes:
    """What an update sends and names, by document path; None for what is to be removed."""
    changes: Changes = {}
    for path in request.update_mask.paths:
        _name(request, path.split("."), section, changes)
    for field, value in request.ListFields():
        if field.name not in {"user_id", "update_mask"}:
            _send(field.json_name, value, section, changes)
    return changes


def _name(message: Message, path: list[str], prefix: str, changes: Changes) -> None:
    """Mark the leaf fields a mask path names for removal."""
    field = message.DESCRIPTOR.fields_by_name[path[0]]
    place = f"{prefix}.{field.json_name}"
    if field.message_type is None:
        changes[place] = None
    else:
        child = getattr(message, field.name)
        for name in path[1:] or field.message_type.fields_by_name:
            _name(child, [name], place, changes)


def _send(name: str, value: object, prefix: str, changes: Changes) -> None:
    place = f"{prefix}.{name}"
    if isinstance(value, Message):
        for field, item in value.ListFields():
            _send(field.json_name, item, place, changes)
    elif isinstance(value, str | bool | float):
        changes[place] = value
    else:
        changes[place] = list(value)  # type: ignore[call-overload]


def profile(value: Profile) -> pb.Profile:
    return pb.Profile(
        first_name=value.first_name,
        last_name=value.last_name,
        date_of_birth=value.date_of_birth.isoformat() if value.date_of_birth else None,
        phone_number=value.phone_number,
        city=value.city,
        country=value.country,
        income=value.income,
        risk_tolerance=value.risk_tolerance,
    )


def preferences(value: Preferences) -> pb.Preferences:
    return pb.Preferences(
        currency=value.currency,
        language=value.language,
        notifications=pb.Notifications(
            email=value.notifications.email,
            sms=value.notifications.sms,
            push=value.notifications.push,
        ),
    )


def metadata(value: Metadata) -> pb.UserMetadata:
    return pb.UserMetadata(source=value.source, referral_code=value.referral_code, tags=value.tags)


def user(value: User) -> pb.User:
    return pb.User(
        id=value.id,
        user_id=value.user_id,
        email=value.email,
        profile=profile(value.profile),
        preferences=preferences(value.preferences),
        status=value.status,
        email_verified=value.email_verified,
        metadata=metadata(value.metadata),
        created_at=timestamp(value.created_at),
        updated_at=timestamp(value.updated_at),
    )


def exported(value: User) -> rpc.ExportUserResponse:
    return rpc.ExportUserResponse(user=user(value))


def _sent(message: Message, name: str) -> str | None:
    return getattr(message, name) if message.HasField(name) else None


def _date(text: str | None) -> date | None:
    return parse_date(text) if text is not None else None
