"""`finlink users`: who they are, how they want to be served, and all that is held on them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, TextIO

import typer

from finlink_cli import output
from finlink_cli.cli import Cli
from finlink_cli.command import command
from finlink_cli.failures import wrong_usage
from finlink_cli.parameters import (
    All,
    DateOfBirth,
    Income,
    Limit,
    PageToken,
    PhoneNumber,
    User,
    Yes,
)
from finlink_cli.user_changes import add_changes
from finlink_cli.words import RiskTolerance, UserStatus

app = typer.Typer(
    name="users", no_args_is_help=True, help="Make, show, change, delete and export users."
)

_COLUMNS = ("userId", "email", "status", "profile.firstName", "profile.city", "createdAt")


@command(app, example="finlink users create asha asha@example.com --first-name Asha --city Pune")
def create(
    cli: Cli,
    user: User,
    email: Annotated[str, typer.Argument(help="A valid address; unique.")],
    first_name: str | None = None,
    last_name: str | None = None,
    phone_number: PhoneNumber = None,
    city: str | None = None,
    country: str | None = None,
    date_of_birth: DateOfBirth = None,
    income: Income = None,
    risk_tolerance: RiskTolerance | None = None,
) -> None:
    """Create a user."""
    from finlink.users.v1.user_service_pb2 import CreateUserRequest

    request = CreateUserRequest(
        user_id=user,
        email=email,
        first_name=first_name,
        last_name=last_name,
        phone_number=phone_number,
        city=city,
        country=country,
        date_of_birth=date_of_birth,
        income=income,
        risk_tolerance=risk_tolerance,
    )
    cli.changed(cli.finlink.users.CreateUser(request))


@command(app, example="finlink users show asha")
def show(cli: Cli, user: User) -> None:
    """Show a user."""
    from finlink.users.v1.user_service_pb2 import GetUserRequest

    cli.one(cli.finlink.users.GetUser(GetUserRequest(user_id=user)).data)


@command(app, "list", example="finlink users list --status active --city Pune")
def list_users(
    cli: Cli,
    status: Annotated[UserStatus | None, typer.Option(help="Only this status.")] = None,
    city: Annotated[str | None, typer.Option(help="Only this city.")] = None,
    risk_tolerance: Annotated[RiskTolerance | None, typer.Option(help="Only this one.")] = None,
    page: Annotated[int | None, typer.Option(help="Counted from 1.")] = None,
    limit: Limit = None,
    page_token: PageToken = None,
    everything: All = False,
) -> None:
    """List users, newest first."""
    from finlink.users.v1.user_service_pb2 import ListUsersRequest

    request = ListUsersRequest(
        status=status,
        city=city,
        risk_tolerance=risk_tolerance,
        page=page,
        limit=limit,
        page_token=page_token,
    )
    cli.listing(cli.finlink.users.ListUsers, request, "users", _COLUMNS, everything=everything)


add_changes(app)


@command(app, example="finlink users delete asha --yes")
def delete(cli: Cli, user: User, yes: Yes = False) -> None:
    """Delete a user with the user's connections and all that syncs have fetched."""
    from finlink.users.v1.user_service_pb2 import DeleteUserRequest

    cli.confirm(f"Delete {user}, the user's connections and all fetched data?", yes=yes)
    cli.changed(cli.finlink.users.DeleteUser(DeleteUserRequest(user_id=user)))


@command(app, example="finlink users export asha --output asha.jsonl")
def export(
    cli: Cli,
    user: User,
    file: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Where to; only you may read it. Default: the output."),
    ] = None,
) -> None:
    """Write everything held on a user, as JSON lines; the line `completed` says it is whole.

    A file that exists is not written over, and an export that breaks off leaves none. It needs an
    API key of the scope admin, where keys are used.
    """
    from finlink.users.v1.user_service_pb2 import ExportUserRequest

    pieces = map(output.to_json, cli.finlink.export_user(ExportUserRequest(user_id=user)))
    if file is None:
        for piece in pieces:
            output.print_json(piece)
        return
    with _new_file(file) as lines, cli.progress("Exporting") as note:
        for number, piece in enumerate(pieces, 1):
            note(f"{number} pieces")
            lines.write(f"{json.dumps(piece)}\n")
    cli.tell({"file": str(file), **piece["completed"]})


@contextmanager
def _new_file(path: Path) -> Iterator[TextIO]:
    """A file for its owner alone, gone again where it is not completed. Raises Failure."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise wrong_usage(f"{path} cannot be made: {error.strerror}") from None
    with ExitStack() as undo:
        undo.callback(path.unlink)
        with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
            yield opened
        undo.pop_all()
