"""What a user's deletion, an export and a look at Finlink's health ask is built before they are."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any, cast

import pytest

from server.core.health import Finding, HealthCheck
from server.domains import registry
from server.kernel import (
    GATHERS_CHECKS,
    GATHERS_DEPENDENTS,
    GATHERS_EXPORTERS,
    Domain,
    Exported,
    Parts,
    UserDependents,
)


class Dependent(UserDependents):
    def export(self, user_id: str) -> AsyncGenerator[Exported, None]:
        raise NotImplementedError


DEPENDENT = Parts(register=lambda _: None, dependents=[Dependent()])
EXPORTER = Parts(register=lambda _: None, exporters=[Dependent()])


async def well() -> Finding:
    return Finding()


CHECKED = Parts(register=lambda _: None, checks=[HealthCheck("jobs", well)])


def build(monkeypatch: pytest.MonkeyPatch, parts: Parts, stage: int) -> Any:
    domain = Domain(contract=[], build=lambda kernel, others: parts, stage=stage)
    monkeypatch.setattr(registry, "DOMAINS", [domain])
    return registry.build(cast("Any", None))


@pytest.mark.parametrize(
    ("parts", "stage"),
    [(DEPENDENT, GATHERS_DEPENDENTS), (EXPORTER, GATHERS_EXPORTERS), (CHECKED, GATHERS_CHECKS)],
    ids=["dependents", "exporters", "checks"],
)
def test_what_would_not_be_asked_is_refused(
    monkeypatch: pytest.MonkeyPatch, parts: Parts, stage: int
) -> None:
    assert build(monkeypatch, parts, stage - 1) == [parts]
    with pytest.raises(TypeError, match="must be built before stage"):
        build(monkeypatch, parts, stage)


def test_users_ask_all_others_and_exports_ask_users() -> None:
    stages = [domain.stage for domain in registry.DOMAINS]
    assert stages == sorted(stages)
    assert stages[-3:] == [GATHERS_DEPENDENTS, GATHERS_EXPORTERS, GATHERS_CHECKS]
