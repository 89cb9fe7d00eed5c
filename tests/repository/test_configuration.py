"""Each setting is documented with its default: in the README of its folder, or in docs/configuration.md."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic.fields import FieldInfo

from server.config import Settings, SettingsBase, name_in_environment
from server.settings import PARTS
from tests.stack import ROOT

SHARED = ROOT / "docs" / "configuration.md"
README = "README.md"
KEYS = {"rate_limit": "_<GROUP>", "oidc": "_<NAME>"}


def document_of(kind: type[SettingsBase]) -> Path:
    folder = ROOT.joinpath(*kind.__module__.split(".")[:-1])
    own = {ROOT / "server" / "domains", ROOT / "server" / "platforms"}
    return folder / README if folder.parent in own else SHARED


def fields(kind: type[SettingsBase]) -> Iterator[tuple[str, FieldInfo]]:
    for field, info in kind.model_fields.items():
        if field != "app_env" or kind is Settings:
            # A table has a variable for each of its keys.
            key = KEYS.get(field, "") if info.default_factory is dict else ""
            yield name_in_environment(kind, field) + key, info


EXPECTED: defaultdict[Path, dict[str, FieldInfo]] = defaultdict(dict)
for _kind in (Settings, *PARTS):
    EXPECTED[document_of(_kind)] |= dict(fields(_kind))  # type: ignore[arg-type]
DOCUMENTS = sorted({*EXPECTED, *ROOT.glob("server/domains/*/README.md")})


def documented(document: Path) -> dict[str, str]:
    """The default of each setting, as the tables of a document have it."""
    found: dict[str, str] = {}
    for cells in (line.split(" | ") for line in document.read_text().splitlines()):
        if re.match(r"\| `[A-Z][A-Z0-9_]+(_<(GROUP|NAME)>)?`", cells[0]):
            names = re.findall(r"`([A-Z0-9_<>]+)`", cells[0])
            defaults = cells[1].split(", ") if len(names) > 1 else [cells[1]]
            shown = defaults if len(defaults) == len(names) else [cells[1]] * len(names)
            found |= dict(zip(names, shown, strict=True))
    return found


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_document_has_the_settings_that_are_its_own(document: Path) -> None:
    shown = documented(document)
    aliases = {"ENVIRONMENT", "NODE_ENV"} & shown.keys()
    assert shown.keys() - aliases == EXPECTED[document].keys()
    for name, info in EXPECTED[document].items():
        if isinstance(info.default, str | int | float | Path) and info.default != "":
            assert shown[name].strip("`") == _text(info.default), name


def _text(default: object) -> str:
    if isinstance(default, bool):
        return str(default).lower()
    return f"{default:g}" if isinstance(default, float) else str(default)
