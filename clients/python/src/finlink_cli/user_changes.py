"""What can be changed about a user: `finlink users profile`, `preferences`, `metadata`, …"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from finlink_cli.cli import Cli
from finlink_cli.command import command
from finlink_cli.parameters import DateOfBirth, Income, PhoneNumber, User
from finlink_cli.words import MetadataField, Preference, ProfileField, RiskTolerance, UserStatus

if TYPE_CHECKING:
    from google.protobuf.field_mask_pb2 import FieldMask


def add_changes(app: typer.Typer) -> None:
    command(app, example="finlink users profile asha --city Mumbai --remove income")(profile)
    command(app, example="finlink users preferences asha --currency EUR --sms")(preferences)
    command(app, example="finlink users metadata asha --tag beta --tag vip")(metadata)
    command(app, example="finlink users status asha suspended")(status)
    command(app, "email-verified", example="finlink users email-verified asha --no")(email_verified)


def profile(
    cli: Cli,
    user: User,
    first_name: str | None = None,
    last_name: str | None = None,
    phone_number: PhoneNumber = None,
    city: str | None = None,
    country: str | None = None,
    date_of_birth: DateOfBirth = None,
    income: Income = None,
    risk_tolerance: RiskTolerance | None = None,
    remove: Annotated[
        list[ProfileField] | None, typer.Option(help="A field to remove; may be repeated.")
    ] = None,
) -> None:
    """Change a user's profile. Fields that are not given stay as they are."""
    from finlink.users.v1.user_service_pb2 import UpdateUserProfileRequest

    request = UpdateUserProfileRequest(
        user_id=user,
        first_name=first_name,
        last_name=last_name,
        phone_number=phone_number,
        city=city,
        country=country,
        date_of_birth=date_of_birth,
        income=income,
        risk_tolerance=risk_tolerance,
        update_mask=_mask(remove),
    )
    cli.changed(cli.finlink.users.UpdateUserProfile(request))


def preferences(
    cli: Cli,
    user: User,
    currency: Annotated[str | None, typer.Option(help="ISO 4217, as INR.")] = None,
    language: Annotated[str | None, typer.Option(help="BCP 47, as en.")] = None,
    email: Annotated[bool | None, typer.Option(help="Notify by email.")] = None,
    sms: Annotated[bool | None, typer.Option(help="Notify by text message.")] = None,
    push: Annotated[bool | None, typer.Option(help="Notify on the user's devices.")] = None,
    reset: Annotated[
        list[Preference] | None,
        typer.Option(help="A preference that goes back to its default; may be repeated."),
    ] = None,
) -> None:
    """Change a user's preferences. Those that are not given stay as they are."""
    from finlink.users.v1.user_pb2 import Notifications
    from finlink.users.v1.user_service_pb2 import UpdateUserPreferencesRequest

    wanted = Notifications(email=email, sms=sms, push=push)
    request = UpdateUserPreferencesRequest(
        user_id=user,
        currency=currency,
        language=language,
        notifications=wanted if wanted.ListFields() else None,
        update_mask=_mask(reset),
    )
    cli.changed(cli.finlink.users.UpdateUserPreferences(request))


def metadata(
    cli: Cli,
    user: User,
    source: Annotated[str | None, typer.Option(help="Where the user came from.")] = None,
    referral_code: str | None = None,
    tag: Annotated[
        list[str] | None, typer.Option(help="May be repeated; all tags are replaced.")
    ] = None,
    remove: Annotated[
        list[MetadataField] | None, typer.Option(help="A field to remove; may be repeated.")
    ] = None,
) -> None:
    """Change where a user came from. Fields that are not given stay as they are."""
    from finlink.users.v1.user_service_pb2 import UpdateUserMetadataRequest

    request = UpdateUserMetadataRequest(
        user_id=user,
        source=source,
        referral_code=referral_code,
        tags=tag,
        update_mask=_mask(remove),
    )
    cli.changed(cli.finlink.users.UpdateUserMetadata(request))


def status(
    cli: Cli,
    user: User,
    status: Annotated[UserStatus, typer.Argument(help="Only active users' connectors sync.")],
) -> None:
    """Make a user active, inactive or suspended."""
    from finlink.users.v1.user_service_pb2 import UpdateUserStatusRequest

    request = UpdateUserStatusRequest(user_id=user, status=status)
    cli.changed(cli.finlink.users.UpdateUserStatus(request))


def email_verified(
    cli: Cli,
    user: User,
    verified: Annotated[bool, typer.Option("--yes/--no", help="Whether it was shown.")] = True,
) -> None:
    """Record whether the email address was shown to belong to the user."""
    from finlink.users.v1.user_service_pb2 import UpdateUserEmailVerifiedRequest

    request = UpdateUserEmailVerifiedRequest(user_id=user, email_verified=verified)
    cli.changed(cli.finlink.users.UpdateUserEmailVerified(request))


def _mask(names: Sequence[str] | None) -> FieldMask | None:
    """The fields that are to lose what they have."""
    from google.protobuf.field_mask_pb2 import FieldMask

    return FieldMask(paths=[name.replace("-", "_") for name in names]) if names else None
