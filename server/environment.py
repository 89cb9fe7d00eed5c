"""Where settings come from, checked before they are read: text that is none, lines that set nothing."""

import os
from collections.abc import Collection, Iterator
from pathlib import Path

from dotenv.parser import parse_stream

NOT_UTF8 = "must be text in UTF-8"


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


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:  # where Python keeps bytes that are no UTF-8
        return False
    return True
