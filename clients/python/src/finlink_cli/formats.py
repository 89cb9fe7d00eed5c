"""Replies for programs: JSON, YAML, names, or what a filter of jq makes of them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import IO, Any, TypeAlias, cast

import typer

from finlink_cli.failures import Exit, Failure, wrong_usage

Json: TypeAlias = dict[str, Any]

_NO_FILTER = 3  # jq's exit code
# Texts that YAML reads as they stand.
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_@./-]*( [A-Za-z0-9_@./-]+)*")
_WORDS = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}


class Writer:
    """Writes objects as they come. `jq` filters them; else `kind` is `json`, `yaml` or `name`."""

    def __init__(self, kind: str | None, jq: str | None) -> None:
        self._kind = kind
        self._filter = jq
        self._jq: subprocess.Popen[bytes] | None = None
        self._count = 0

    def put(self, content: Json) -> None:
        """Raises Failure if there is no jq."""
        if self._filter is not None:
            self._to_jq(content)
        elif self._kind == "yaml":
            typer.echo("\n".join([*(["---"] if self._count else []), *_yaml(content, "")]))
        elif self._kind == "name":
            for name in _names(content):
                typer.echo(name)
        else:
            typer.echo(json.dumps(content))
        self._count += 1

    def close(self) -> None:
        """Once all is written. Raises Failure for a filter that jq refused; jq has said why."""
        if self._jq is None:
            return
        self._jq.communicate()
        if (code := self._jq.returncode) > 0:
            exit_code = Exit.USAGE if code == _NO_FILTER else Exit.FAILED
            raise Failure("JQ", f"jq ended with {code}", exit_code, hint="See its message above.")
        if self._jq.returncode < 0:  # nobody reads its output
            raise BrokenPipeError

    def _to_jq(self, content: Json) -> None:
        if self._jq is None:
            sys.stdout.flush()
            command = ["jq", "--unbuffered", "--raw-output", self._filter or "."]
            try:
                self._jq = subprocess.Popen(command, stdin=subprocess.PIPE)  # noqa: S603 - no shell
            except OSError:
                hint = "Install it (https://jqlang.org), or use --json."
                raise wrong_usage("--jq needs the program jq, which is not there", hint) from None
        try:
            cast("IO[bytes]", self._jq.stdin).write(f"{json.dumps(content)}\n".encode())
            cast("IO[bytes]", self._jq.stdin).flush()
        except BrokenPipeError:  # it has ended: `close` says how
            self.close()
            raise


def _names(content: Json) -> Iterator[str]:
    """The names of a page's items, or of one object, as commands take them."""
    lists = [value for value in content.values() if value and isinstance(value, list)]
    if (own := _name(content)) is not None:
        yield own
    elif lists and isinstance(lists[0][0], dict):
        for item in lists[0]:
            if (name := _name(item)) is not None:
                yield name
    elif isinstance(content.get("connector"), dict):  # of an event
        yield from _names(content["connector"])


def _name(item: Json) -> str | None:
    if "action" in item:  # of the audit trail
        return str(item["id"])
    if {"userId", "platform"} <= item.keys():
        return f"{item['userId']}/{item['platform']}"
    found = (item.get(key) for key in ("profile", "syncId", "userId", "id"))
    return next((each for each in found if isinstance(each, str)), None)


def _yaml(value: Any, indent: str) -> Iterator[str]:
    """Lines of an object or a list; what is not plain is quoted as in JSON, which is YAML as well."""
    entries: Any = value.items() if isinstance(value, dict) else ((None, each) for each in value)
    for key, each in entries:
        start = f"{indent}- " if key is None else f"{indent}{_scalar(key)}:"
        if isinstance(each, dict | list) and each:
            lines = list(_yaml(each, f"{indent}  "))
            if key is None:
                lines[0] = start + lines[0].lstrip(" ")
            else:
                yield start
            yield from lines
        else:
            shown = json.dumps(each) if isinstance(each, dict | list) else _scalar(each)
            yield f"{start}{shown}" if key is None else f"{start} {shown}"


def _scalar(value: Any) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    return json.dumps(value)
