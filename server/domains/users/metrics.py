"""What users count."""

from __future__ import annotations

from prometheus_client import Gauge

USERS = Gauge("finlink_users", "Users by status", ["status"], multiprocess_mode="mostrecent")
