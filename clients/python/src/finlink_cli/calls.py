"""Commands that make one call: confirm it, call, show the reply."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from inspect import Parameter, Signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from finlink_cli import parameters, replies, requests, rpcs
from finlink_cli.cli import Cli
from finlink_cli.contract import Rpc
from finlink_cli.failures import wrong_usage

if TYPE_CHECKING:
    from google.api.httpbody_pb2 import HttpBody
    from google.protobuf.message import Message

# Parameters beside the fields.
_BODY, _YES, _ALL, _OUTPUT = "body", "yes", "everything", "file"


def function_of(rpc: Rpc) -> Callable[..., None]:
    """The function of an RPC's command; Typer reads its parameters from the signature."""

    def run(cli: Cli, **values: Any) -> None:
        _run(cli, rpc, values)

    more = {
        _BODY: (rpc.body, parameters.Body, None),
        _YES: (bool(rpc.confirm), parameters.Yes, False),
        _ALL: (rpc.paged, parameters.All, False),
        _OUTPUT: (rpc.file, parameters.Output, None),
    }
    own = [
        Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
        for name, (wanted, annotation, default) in more.items()
        if wanted
    ]
    first = Parameter("cli", Parameter.POSITIONAL_OR_KEYWORD)
    signature = Signature([first, *parameters.of_rpc(rpc, body=rpc.body), *own])
    cast("Any", run).__signature__ = signature
    run.__doc__ = rpc.help
    return run


def _run(cli: Cli, rpc: Rpc, values: dict[str, Any]) -> None:
    if rpc.confirm:
        cli.confirm(_question(rpc, values), yes=values[_YES])
    request = _request(cli, rpc, values)
    if rpc.file:
        _keep(cli, rpcs.stream(cli, rpc, request), values[_OUTPUT])
    elif rpc.paged:
        page = partial(rpcs.call, cli, rpc)
        replies.show_list(cli, page, cast("Message", request), everything=values[_ALL])
    elif rpcs.method_of(rpc).server_streaming:
        replies.show_stream(cli, rpcs.stream(cli, rpc, request))
    else:
        replies.show(cli, rpcs.call(cli, rpc, request), listed=rpc.method.startswith("List"))


def _question(rpc: Rpc, values: Mapping[str, Any]) -> str:
    question = rpc.confirm
    for index, field in enumerate(rpc.fields):
        given = values.get(parameters.name_of(index))
        question = question.replace(f"{{{field.name}}}", str(given))
    return question


def _request(cli: Cli, rpc: Rpc, values: Mapping[str, Any]) -> Message | Iterator[Message]:
    """A request, or the chunks of a file. Raises Failure."""
    method = rpcs.method_of(rpc)
    if method.input_type.full_name == requests.FILE:
        chunks = requests.chunks(values[parameters.name_of(0)])
        return iter(chunks) if method.client_streaming else chunks[0]
    request = requests.build(cli, rpc, values, values.get(_BODY))
    return iter([request]) if method.client_streaming else request


def _keep(cli: Cli, chunks: Iterator[HttpBody], path: Path | None) -> None:
    """Write bytes to the output, or to a file that is not there yet."""
    if path is None:
        for chunk in chunks:
            sys.stdout.buffer.write(chunk.data)
        return
    count = 0
    with new_file(path) as file, cli.progress("Fetching") as note:
        for chunk in chunks:
            count += file.write(chunk.data)
            note(f"{count} bytes")
    cli.show({"file": str(path), "bytes": count})


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """A file for its owner alone, gone again where it is not completed. Raises Failure."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise wrong_usage(f"{path} cannot be made: {error.strerror}") from None
    with ExitStack() as undo:
        undo.callback(path.unlink)
        with os.fdopen(descriptor, "wb") as opened:
            yield opened
        undo.pop_all()
