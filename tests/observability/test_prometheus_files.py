"""What Prometheus and Grafana are given: by promtool, and against what the product counts and tells."""

from __future__ import annotations

import re
import subprocess
from collections import defaultdict
from importlib import import_module
from pathlib import Path

import pytest
import yaml
from prometheus_client import REGISTRY

from tests.contract.descriptors import services
from tests.observability import declared, prometheus
from tests.observability.prometheus import CONFIG, PROMTOOL, RULES
from tests.stack import ROOT

TESTS = RULES.with_name("rules_test.yml")


def passes(*words: str | Path) -> None:
    assert PROMTOOL is not None
    done = subprocess.run([PROMTOOL, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@prometheus.needed
def test_prometheus_takes_the_configuration() -> None:
    passes("check", "config", CONFIG)
    # Its rules are where only its container has them.
    passes("check", "config", "--syntax-only", ROOT / "deploy" / "compose" / "prometheus.yml")


@prometheus.needed
def test_prometheus_takes_the_rules() -> None:
    passes("check", "rules", RULES)


@prometheus.needed
def test_alerts_fire_when_they_should_and_not_before() -> None:
    passes("test", "rules", TESTS)


def test_of_each_alert_there_is_when_it_fires_and_when_it_does_not() -> None:
    shown: defaultdict[str, set[bool]] = defaultdict(set)
    for case in yaml.safe_load(TESTS.read_text())["tests"]:
        for check in case["alert_rule_test"]:
            shown[check["alertname"]].add(bool(check["exp_alerts"]))
    assert shown == {name: {True, False} for name in prometheus.alerts()}


def test_the_guide_says_what_each_alert_means() -> None:
    guide = (ROOT / "docs" / "operations.md").read_text()
    rows = [line for line in guide.splitlines() if line.startswith("| `Finlink")]
    assert {row.split("`")[1] for row in rows} == prometheus.alerts().keys()
    assert all(cell.strip() for row in rows for cell in row.strip("|").split("|"))


@pytest.mark.parametrize(("title", "expression"), prometheus.panels())
def test_a_panel_names_metrics_that_exist(title: str, expression: str) -> None:
    known = set().union(*declared.series().values())
    named = set(re.findall(r"\bfinlink_\w+", expression))
    assert named <= known, title
    assert named or "envoy_" in expression, title


def test_alerts_about_calls_name_rpcs_that_exist() -> None:
    names = {method.name for service in services() for method in service.methods}
    for alert, rule in prometheus.alerts().items():
        for words in re.findall(r'method=~"\.\*/\((.*?)\)"', rule["expr"]):
            for word in words.split("|"):
                assert any(re.fullmatch(word, name) for name in names), (alert, word)


def test_the_guide_has_each_metric() -> None:
    guide = (ROOT / "docs" / "operations.md").read_text()
    reported = set(re.findall(r"`(finlink_\w+)`", guide))
    for name, series in declared.series().items():
        assert reported & {name, *series}, name


def test_metrics_are_declared_where_they_are_gathered() -> None:
    import_module("server.app")
    names = {family.name for family in REGISTRY.collect()}
    assert {name for name in names if name.startswith("finlink_")} <= declared.series().keys()
    assert {"finlink_users", "finlink_platform_call_seconds"} <= names
