"""Who may make each call, written by hand beside the contract: a new RPC without an entry fails.

Gathered from `tests/domains/<domain>/access.py`, each of which has, by service and RPC,

    OPEN     calls that also pass without any credential, as long as Finlink has no API keys
    CLOSED   calls that need one in any case, but for those for `all`

or one of both. An entry has the scope that an API key needs, and which users may call: `all`, `none`, `own`
(the caller's own account), `self` (what is the user's own) with the role from which on anybody's, or a role;
then `recent` if the user must have signed in lately, `in-person` if nobody may call on a user's behalf, and
`staff` if staff may look on a user's behalf.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TypeAlias

Table: TypeAlias = dict[str, dict[str, str]]

_DOMAINS = [
    import_module(f"tests.domains.{path.parent.name}.access")
    for path in sorted((Path(__file__).parents[1] / "domains").glob("*/access.py"))
]
OPEN: Table = {k: v for each in _DOMAINS for k, v in getattr(each, "OPEN", {}).items()}
CLOSED: Table = {k: v for each in _DOMAINS for k, v in getattr(each, "CLOSED", {}).items()}
