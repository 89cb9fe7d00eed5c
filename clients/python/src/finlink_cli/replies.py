"""Replies of RPCs, shown: JSON as REST has it; for people a sentence, facts and tables.

Columns are those that `commands.yaml` has for a message, or its own fields as far as there is space for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from finlink_cli import contract, output

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor, FieldDescriptor
    from google.protobuf.message import Message

    from finlink_cli.cli import Cli

_DEEPEST = 3


def show(cli: Cli, reply: Any, *, listed: bool = False) -> None:
    """One reply: its message, and what is under `data`, or all of it."""
    fields = reply.DESCRIPTOR.fields_by_name
    if "message" in fields and not cli.as_json:
        cli.say(f"{reply.message}.")
    if "data" in fields and fields["data"].message_type is not None:
        data = reply.data
        if listed:
            show_rows(cli, data, _list_of(data.DESCRIPTOR))
        else:
            one(cli, data)
    elif cli.as_json or "message" not in fields:
        one(cli, reply)


def one(cli: Cli, message: Message) -> None:
    """An object's facts, those that its columns name first, and its lists as tables under them."""
    facts = output.to_json(message)
    first = contract.columns().get(message.DESCRIPTOR.full_name, ())
    if not cli.as_json:
        facts = {name: facts[name] for name in first if name in facts} | facts
    cli.show(facts, _lists(message.DESCRIPTOR))


def show_rows(cli: Cli, data: Message, name: str) -> None:
    """An object with a list: for people the list, as a table, and the facts beside it."""
    found = output.to_json(data)
    if cli.as_json:
        cli.put(found)
        return
    _table(cli, data.DESCRIPTOR, name, found[name])
    facts = {key: value for key, value in found.items() if not isinstance(value, list | dict)}
    if facts and found[name]:
        cli.say("")
        cli.show(facts)


def show_list(cli: Cli, call: Any, request: Any, *, everything: bool) -> None:
    """One page of a list, or all that follow it as well: then as JSON each item on its own."""
    if everything:
        from finlink_client.paging import pages_blocking

        _show_all(cli, pages_blocking(call, request, None))
        return
    data = call(request).data
    found = output.to_json(data)
    if cli.as_json:
        cli.put(found)
        return
    name = _list_of(data.DESCRIPTOR)
    _table(cli, data.DESCRIPTOR, name, found[name])
    pagination = found.get("pagination", {})
    for total in [key for key in pagination if key.startswith("total") and key != "totalPages"]:
        cli.say(f"\n{pagination[total]} in all.")
    if token := pagination.get("nextPageToken"):
        cli.screen.print(f"\nThere are more: --all, or\n--page-token {token}", soft_wrap=True)


def _show_all(cli: Cli, pages: Iterator[Any]) -> None:
    """Items as they come; for people a table once all are there."""
    rows: list[output.Json] = []
    kind, name, count = None, "", 0
    with cli.progress("Fetching") as note:
        for page in pages:
            kind = page.data.DESCRIPTOR
            name = _list_of(kind)
            for item in output.to_json(page.data)[name]:
                count += 1
                if cli.as_json:
                    cli.put(item)
                else:
                    rows.append(item)
            note(f"{count} {output.label(name)}")
    if not cli.as_json and kind is not None:
        _table(cli, kind, name, rows)


def show_stream(cli: Cli, replies: Iterable[Message]) -> None:
    """Messages as they come."""
    for reply in replies:
        one(cli, reply)
        cli.say("")


def _table(cli: Cli, data: Any, name: str, rows: Sequence[output.Json]) -> None:
    item = next(field for field in data.fields if field.json_name == name).message_type
    if item is None:  # texts or numbers
        cli.table(name, [{name: row} for row in rows], [name])
    else:
        cli.table(name, rows, _columns(item))


def _columns(item: Descriptor) -> Sequence[str]:
    """Columns of a message."""
    hint = contract.columns().get(item.full_name)
    return hint if hint is not None else list(_scalars(item, ""))


def _scalars(message: Any, prefix: str) -> Iterator[str]:
    """Fields that fit into a cell; those of messages within come after, as they may be the whole of it."""
    inner = []
    for field in message.fields:
        if _in_a_cell(field):
            yield f"{prefix}{field.json_name}"
        elif not field.is_repeated:
            inner.append(field)
    if not prefix:
        for field in inner:
            yield from _scalars(field.message_type, f"{field.json_name}.")


def _in_a_cell(field: FieldDescriptor) -> bool:
    of_it = field.message_type
    if of_it is None:
        return True
    amount = "value" in of_it.fields_by_name and "currency" in of_it.fields_by_name
    return not field.is_repeated and (amount or of_it.full_name.startswith("google.protobuf."))


def _list_of(data: Any) -> str:
    """The list that an object is about: of its lists the first, those of messages before others."""
    lists = [
        field
        for field in data.fields
        if field.is_repeated
        and not (field.message_type is not None and field.message_type.GetOptions().map_entry)
    ]
    first = min(lists, key=lambda field: field.message_type is None)
    return str(first.json_name)


def _lists(message: Any, depth: int = 1) -> Mapping[str, Sequence[str]]:
    """The lists anywhere in an object, with the columns that each has as a table."""
    found: dict[str, Sequence[str]] = {}
    for field in message.fields:
        of_it = field.message_type
        if (
            of_it is None
            or of_it.GetOptions().map_entry
            or of_it.file.package.startswith("google.")
        ):
            continue
        if field.is_repeated:
            found[field.json_name] = _columns(of_it)
        elif not field.is_repeated and depth < _DEEPEST:
            found.update(_lists(of_it, depth + 1))
    return found
