"""All commands: those written by hand, and one for each other RPC. Each is built when it is used."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from functools import partial
from typing import Any, TypeAlias

import typer
from typer.main import get_group

from finlink_cli import calls, contract
from finlink_cli.command import BY_HAND, Command, build

# Of groups that no service has.
_HELP = {"sandbox": "Makes platforms of the sandbox fail, to see what follows."}

_Maker: TypeAlias = Callable[[], Command]


class Lazy(MutableMapping[str, Command]):
    """Commands by their names."""

    def __init__(self, makers: Mapping[str, _Maker]) -> None:
        self._makers = dict(sorted(makers.items()))
        self._made: dict[str, Command] = {}

    def __getitem__(self, name: str) -> Command:
        if name not in self._made:
            self._made[name] = self._makers[name]()
        return self._made[name]

    def __setitem__(self, name: str, command: Command) -> None:
        self._makers[name] = lambda: command

    def __delitem__(self, name: str) -> None:
        del self._makers[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)

    def __contains__(self, name: object) -> bool:
        return name in self._makers


def commands() -> Lazy:
    """The words after `finlink`."""
    groups: dict[str, dict[str, _Maker]] = {}
    for name, group in contract.groups().items():
        groups[name] = {
            each: partial(_of_rpc, each, described) for each, described in group["commands"].items()
        }
    for path, maker in BY_HAND.items():
        group_name, _, own = path.rpartition(" ")
        groups.setdefault(group_name, {})[own] = maker
    single = groups.pop("", {})
    return Lazy(
        {**single, **{name: partial(_group, name, makers) for name, makers in groups.items()}}
    )


def _of_rpc(name: str, described: Mapping[str, Any]) -> Command:
    rpc = contract.rpc(described)
    return build(calls.function_of(rpc), name, rpc.help, rpc.example)


def _group(name: str, makers: Mapping[str, _Maker]) -> Command:
    help_text = contract.groups().get(name, {}).get("help") or _HELP[name]
    app = typer.Typer(name=name, help=help_text, no_args_is_help=True, rich_markup_mode=None)
    app.callback()(lambda: None)
    group = get_group(app)
    group.short_help = help_text
    group.commands = Lazy(makers)
    return group
