from __future__ import annotations

from prometheus_client import REGISTRY

from server.domains.users import metrics


def test_users_without_a_status_are_among_the_active_ones() -> None:
    metrics.report({("active",): 3, ("suspended",): 1, (None,): 2})
    assert REGISTRY.get_sample_value("finlink_users", {"status": "active"}) == 5
    metrics.report({("active",): 3, ("suspended",): 0, (None,): 0})
    assert REGISTRY.get_sample_value("finlink_users", {"status": "active"}) == 3
    assert REGISTRY.get_sample_value("finlink_users", {"status": "suspended"}) == 0
