"""What every command works with: the client, and a way to tell what came of it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from finlink_cli import output
from finlink_cli.failures import Exit, Failure, wrong_usage
from finlink_cli.settings import Settings

if TYPE_CHECKING:
    import grpc
    from finlink_client import BlockingFinlink
    from google.protobuf.message import Message


class Cli:
    """With `as_json` it says JSON alone, one object a line."""

    def __init__(self, settings: Settings, *, as_json: bool) -> None:
        self.settings = settings
        self.as_json = as_json
        self.screen = output.screen()
        self.notes = output.screen(stderr=True)

    @cached_property
    def finlink(self) -> BlockingFinlink:
        """Connected with the first call."""
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # failures are told by us
        import finlink_client

        return finlink_client.connect_blocking(
            self.settings.address,
            credentials=_credentials(self.settings),
            api_key=self.settings.api_key,
        )

    def close(self) -> None:
        if "finlink" in self.__dict__:
            self.finlink.close()

    def connector_id(self, connector: str) -> str:
        """The id of CONNECTOR, which is that or USER/PLATFORM."""
        if "/" not in connector:
            return connector
        from finlink.connectors.v1.connector_service_pb2 import GetUserPlatformConnectorRequest

        user_id, _, platform = connector.partition("/")
        request = GetUserPlatformConnectorRequest(user_id=user_id, platform=platform)
        answer = self.finlink.connectors.GetUserPlatformConnector(request)
        return answer.data.connector.id

    # -- telling

    def one(self, message: Message, lists: Mapping[str, Sequence[str]] | None = None) -> None:
        """An object; `lists` says which columns its lists have for people."""
        self.tell(output.to_json(message), lists)

    def tell(self, data: output.Json, lists: Mapping[str, Sequence[str]] | None = None) -> None:
        """The same of an object that is JSON already."""
        if self.as_json:
            output.print_json(data)
        else:
            self.screen.print(output.details(data, lists))

    def changed(self, answer: Any) -> None:
        """What a change answers: for people its message too."""
        if not self.as_json:
            self.say(f"{answer.message}.")
        if "data" in answer.DESCRIPTOR.fields_by_name:
            self.one(answer.data)
        elif self.as_json:
            output.print_json({"message": answer.message})

    def say(self, text: str) -> None:
        """A sentence for people; with JSON nothing."""
        if not self.as_json:
            self.screen.print(text)

    def rows(self, data: output.Json, name: str, columns: Sequence[str]) -> None:
        """An object with a list: for people the list, as a table."""
        if self.as_json:
            output.print_json(data)
        elif data[name]:
            self.screen.print(output.table(data[name], columns))
        else:
            self.screen.print(f"No {output.label(name)}.")

    def listing(
        self,
        call: Any,
        request: Any,
        name: str,
        columns: Sequence[str],
        *,
        everything: bool,
    ) -> None:
        """One page of a list, or all that follow it as well: then as JSON each item on its own."""
        if everything:
            from finlink_client.paging import pages_blocking

            pages = pages_blocking(call, request, None)
            items = (item for page in pages for item in getattr(page.data, name))
            self.stream(items, name, columns)
            return
        data = output.to_json(call(request).data)
        self.rows(data, name, columns)
        pagination = data["pagination"]
        if "totalUsers" in pagination:
            self.say(f"\n{pagination['totalUsers']} in all.")
        if token := pagination.get("nextPageToken"):
            self.say(f"\nThere are more: --all, or --page-token {token}")

    def stream(self, items: Iterable[Message], name: str, columns: Sequence[str]) -> None:
        """Items as they come; for people a table once all are there."""
        rows = []
        with self.progress(f"Fetching {output.label(name)}") as note:
            for number, item in enumerate(items, 1):
                note(f"{number} {output.label(name)}")
                if self.as_json:
                    output.print_json(output.to_json(item))
                else:
                    rows.append(output.to_json(item))
        if not self.as_json:
            self.rows({name: rows}, name, columns)

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
        """Whether a person is there to answer."""
        return sys.stdin.isatty()

    def confirm(self, question: str, *, yes: bool) -> None:
        """Go on only where a person says so, or --yes has. Raises Failure."""
        if yes:
            return
        if not self.can_ask:
            raise wrong_usage("nobody is there to be asked", "Say --yes to do it.")
        if not typer.confirm(question, err=True):
            raise Failure("DECLINED", "nothing was changed", Exit.FAILED)


def _credentials(settings: Settings) -> grpc.ChannelCredentials | None:
    """For TLS, which any of its settings asks for. Raises Failure."""
    if not (settings.tls or settings.ca or settings.client_cert):
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
