"""Who may make each call of system; see `tests/contract/access_table.py`."""

from __future__ import annotations

OPEN = {
    "SystemService": {
        "GetHealth": "read moderator",
    },
}
