"""Where settings come from, checked before they are read: text that is none, lines that set nothing."""

import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from dotenv import dotenv_values
from dotenv.parser import parse_stream

NOT_UTF8 = "must be text in UTF-8"
# The names of one setting.
APP_ENV = ("APP_ENV", "ENVIRONMENT", "NODE_ENV")
# Variables of other products, which would be ignored, and what to set in their place.
_FOREIGN = {
    "DATABASE_URL": "is not read; set MONGODB_URI to a replica set of MongoDB",
    "REDIS_URL": "is not read; Finlink needs no Redis, and RESPONSE_CACHE_MB says how much a worker caches",
    "DEBUG": "is not read; set LOG_LEVEL=DEBUG for a log with more in it",
}


def not_utf8(names: Collection[str], prefixes: tuple[str, ...] = ()) -> Iterator[str]:
    """A line for each variable of these names (in lower case), or beginning so, that is no UTF-8."""
    for name, value in os.environ.items():
        wanted = name.lower() in names or name.lower().startswith(prefixes)
        if wanted and not _is_text(value):
            yield f"{name.upper()}: {NOT_UTF8}"


def file_problems(path: Path) -> Iterator[str]:
    """A line for each that is wrong in a file of settings. None where it is not there, or is a folder."""
    try:
        if not path.exists() or path.is_dir():
            return
        if not path.is_file():  # a pipe would be waited for
            yield f"{path}: must be a file"
            return
        with path.open(encoding="utf-8-sig") as file:
            bindings = list(parse_stream(file))
    except OSError as error:
        yield f"{path}: cannot be read ({error.strerror})"
    except UnicodeDecodeError:
        yield f"{path}: {NOT_UTF8}"
    else:
        for each in bindings:
            if each.error or "\0" in each.original.string or (each.key and each.value is None):
                yield f"{path}: line {each.original.line} must be NAME=value, or begin with #"


def set_variables(file: Path) -> dict[str, str]:
    """All variables that are not empty, by their names in capitals; the environment wins over the file."""
    found: dict[str, str | None] = {}
    if file.is_file():
        found |= {k.upper(): v for k, v in dotenv_values(file, encoding="utf-8-sig").items()}
    found |= {name.upper(): value for name, value in os.environ.items() if value}
    return {name: value for name, value in found.items() if value}


def contradictions(variables: Mapping[str, str]) -> Iterator[str]:
    """A line for each variable of another product, and one if names of one setting differ."""
    for name, advice in _FOREIGN.items():
        if name in variables:
            yield f"{name}: {advice}"
    named = [name for name in APP_ENV if name in variables]
    if len({variables[name] for name in named}) > 1:
        yield f"{', '.join(named)} are names of one setting and must not differ; set {named[0]} alone"


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:  # where Python keeps bytes that are no UTF-8
        return False
    return True
