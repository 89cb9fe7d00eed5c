"""Who may make each call of audit; see `tests/contract/access_table.py`."""

from __future__ import annotations

# The calls of the first release.
OPEN = {
    "AuditService": {
        "ListAuditEvents": "admin admin",
    },
}
