"""Who may make each call of exports; see `tests/contract/access_table.py`."""

from __future__ import annotations

# The calls of the first release.
OPEN = {
    "ExportService": {
        "ExportUser": "admin self admin recent",
    },
}
