from __future__ import annotations

from pathlib import Path

import pytest

from codegen.limits import OVERALL_CALLS
from server.config import ConfigError
from server.edge.errors import StartError
from server.edge.limits import OVERALL, Limits, limits_of
from server.edge.settings import EdgeSettings
from server.settings import load
from tests.edge.edge_stack import edge_stack
from tests.supervisor.harness import patiently


def settings(**given: object) -> EdgeSettings:
    return load(_env_file=None, **given).of(EdgeSettings)


def test_without_settings_the_limits_are_those_of_the_contract() -> None:
    calls = {OVERALL: settings().rate_limit_max_requests}
    assert limits_of(settings()) == Limits(calls=calls)
    assert calls[OVERALL] == OVERALL_CALLS


def test_a_limit_of_no_group_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RATE_LIMIT_USRES", "3")
    with (
        pytest.raises(StartError, match=r"^RATE_LIMIT_USRES: .* there are auth, .*users\.$"),
        edge_stack(tmp_path, limits_of(settings())),
    ):
        pass


def test_limits_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "RATE_LIMITS": "off", "RATE_LIMIT_WINDOW_MS": "1500", "RATE_LIMIT_MAX_REQUESTS": "6",
        "RATE_LIMIT_USERS": "1", "RATE_LIMIT_CONNECTORS": "2", "RATE_LIMIT_STATUS": "3",
        "RATE_LIMIT_SYNC": "4", "TRUSTED_PROXIES": "10.0.0.0/8, 2001:db8::/32 ,192.0.2.1",
        "CORS_ORIGINS": "https://a.example,http://localhost:5173", "ENVOY_HEAP_MB": "256",
        "RATE_LIMIT_SERVICE": "limits:8081",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    assert limits_of(settings()) == Limits(
        enabled=False,
        window_ms=1500,
        calls={"overall": 6, "users": 1, "connectors": 2, "status": 3, "sync": 4},
        trusted_proxies=("10.0.0.0/8", "2001:db8::/32", "192.0.2.1/32"),
        cors_origins=("https://a.example", "http://localhost:5173"),
        heap_bytes=256 * 1024 * 1024,
        service="limits:8081",
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RATE_LIMITS", "maybe"), ("RATE_LIMIT_USERS", "0"), ("RATE_LIMIT_WINDOW_MS", "1"),
        ("TRUSTED_PROXIES", "10.0.0.1/8"), ("TRUSTED_PROXIES", "proxy.example"),
        ("CORS_ORIGINS", "*"), ("CORS_ORIGINS", "https://a.example/"), ("CORS_ORIGINS", "a.example"),
        ("PLAIN_HTTP", "maybe"), ("TLS_PORT", "70000"), ("RATE_LIMIT_SERVICE", "limits"),
    ],
)  # fmt: skip
def test_a_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=f"^{name}: ") as raised:
        settings()
    assert "\n" not in str(raised.value)


def test_envoy_watches_its_heap(tmp_path: Path) -> None:
    with edge_stack(tmp_path, Limits(heap_bytes=32 << 20)) as opened:

        def stats() -> dict[str, str]:
            lines = opened.admin("/stats?filter=^overload.*(pressure|active)$").splitlines()
            return dict(line.split(": ") for line in lines)

        # Envoy takes some 9 MB: of the default of 1 GiB that would be 1 per cent.
        heap = "overload.envoy.resource_monitors.fixed_heap.pressure"
        patiently(lambda: 10 < int(stats()[heap]) < 85, opened.log)
        for action in ("shrink_heap", "disable_http_keepalive", "reset_high_memory_stream",
                       "stop_accepting_connections", "stop_accepting_requests"):  # fmt: skip
            assert stats()[f"overload.envoy.overload_actions.{action}.active"] == "0"
