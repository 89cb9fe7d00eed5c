"""Arguments and options that several commands have."""

from __future__ import annotations

from typing import Annotated

import typer

User = Annotated[str, typer.Argument(help="The user's identifier.")]
Connector = Annotated[
    str, typer.Argument(help="The connector: its id, or USER/PLATFORM as asha/zerodha.")
]
Limit = Annotated[int | None, typer.Option(help="How many on a page: 1 to 100; default 20.")]
PageToken = Annotated[
    str | None, typer.Option(metavar="TOKEN", help="`nextPageToken` of the page before.")
]
All = Annotated[
    bool,
    typer.Option(
        "--all", help="All that follow, too; with --json each is an object on its own line."
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]

# Of a user's profile.
PhoneNumber = Annotated[str | None, typer.Option(help="As +91-9876543210.")]
DateOfBirth = Annotated[str | None, typer.Option(metavar="YYYY-MM-DD")]
Income = Annotated[float | None, typer.Option(help="A year's; positive.")]
