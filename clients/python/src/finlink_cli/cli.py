"""The objects that every command uses: the client, and a way to show the result."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from finlink_cli import formats, output, profiles, streams, tables
from finlink_cli.failures import Exit, Failure, wrong_usage
from finlink_cli.settings import Settings

if TYPE_CHECKING:
    import grpc
    from finlink_client import BlockingFinlink


class Cli:
    """With `as_json` it says objects alone, to programs: as JSON unless `writer` has another form."""

    def __init__(
        self,
        settings: Settings,
        *,
        as_json: bool,
        wide: bool = False,
        writer: formats.Writer | None = None,
    ) -> None:
        self.settings = settings
        self.as_json = as_json
        writer = writer or formats.Writer("json", None)
        self.put, self.written = writer.put, writer.close
        self.wide = wide
        self.options: Mapping[str, str] = {}  # names of a request's fields on the command line
        self.names: dict[str, str] = {}  # the user, platform and connector that were given
        self.screen = output.screen()
        self.notes = output.screen(stderr=True)

    @cached_property
    def finlink(self) -> BlockingFinlink:
        """Connected with the first call. Raises Failure if nobody is signed in as was asked."""
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # failures are reported here
        import finlink_client

        return finlink_client.connect_blocking(
            self.settings.address,
            credentials=_credentials(self.settings),
            api_key=self.settings.api_key,
            access_token=self.settings.access_token,
            token_store=_session(self.settings),
        )

    def close(self) -> None:
        if "finlink" in self.__dict__:
            self.finlink.close()

    # -- showing

    def show(self, data: output.Json, lists: Mapping[str, Sequence[str]] | None = None) -> None:
        """An object; `lists` says which columns its lists have for people."""
        if self.as_json:
            self.put(data)
        else:
            self.screen.print(tables.details(data, lists, self.screen.width, wide=self.wide))

    def say(self, text: str) -> None:
        """A sentence for people; with JSON nothing."""
        if not self.as_json:
            self.screen.print(text)

    def table(self, name: str, rows: Sequence[output.Json], columns: Sequence[str]) -> None:
        """A list for people."""
        if rows:
            self.screen.print(tables.table(rows, columns, self.screen.width, wide=self.wide))
        else:
            self.screen.print(f"No {output.label(name)}.")

    @contextmanager
    def progress(self, text: str) -> Iterator[Callable[[str], None]]:
        """Shows how far something is, to a person who does not see its output run by already."""
        if not self.notes.is_terminal or (self.as_json and self.screen.is_terminal):
            yield lambda _: None
            return
        with self.notes.status(text) as status:
            yield status.update

    # -- asking

    @property
    def can_ask(self) -> bool:
        """Whether a person is there to reply."""
        return sys.stdin.isatty()

    def confirm(self, question: str, *, yes: bool) -> None:
        """Go on only where a person says so, or --yes has. Raises Failure."""
        if yes:
            return
        if not self.can_ask:
            raise wrong_usage("nobody is there to be asked", "Say --yes to do it.")
        if streams.ask(f"{question} [y/N]", default="", show_default=False).lower() not in (
            "y",
            "yes",
        ):
            raise Failure("DECLINED", "nothing was changed", Exit.FAILED)


def _session(settings: Settings) -> profiles.Store | None:
    """The session of who has signed in. Raises Failure."""
    if not settings.session:
        return None
    if settings.profile not in profiles.read():
        name = settings.profile
        hint = f"Sign in with 'finlink login --profile {name}'."
        raise Failure(
            "SESSION_ENDED", f"the profile {name} is not signed in", Exit.LOGIN_NEEDED, hint=hint
        )
    return profiles.Store(settings.profile)


def _credentials(settings: Settings) -> grpc.ChannelCredentials | None:
    """For TLS, which any of its settings asks for. Raises Failure."""
    if not settings.encrypted:
        return None
    import grpc

    return grpc.ssl_channel_credentials(
        root_certificates=_content("ca", settings.ca),
        private_key=_content("client_key", settings.client_key),
        certificate_chain=_content("client_cert", settings.client_cert),
    )


def _content(name: str, path: str | None) -> bytes | None:
    try:
        return None if path is None else Path(path).read_bytes()
    except OSError as error:
        raise wrong_usage(f"{name}: {path} cannot be read: {error.strerror}") from None
