"""What the control API refuses, and how it says so."""

from typing import Any

import pytest

from tests.sandbox.accounts import Accounts

RULE: dict[str, Any] = {"kind": "throttled"}
BAD = [
    ("/accounts/nse/X/faults", [], "platform"),
    ("/accounts/zerodha/%20/faults", [], "login"),
    ("/accounts/zerodha/X/faults", {}, "body"),
    ("/accounts/zerodha/X/faults", [RULE, {}], "[1].kind"),
    ("/accounts/zerodha/X/faults", [{"kind": "flood"}], "[0].kind"),
    ("/accounts/zerodha/X/faults", [{**RULE, "retry_after": "3"}], "[0].retry_after"),
    ("/accounts/zerodha/X/faults", [{**RULE, "status": 500}], "[0].status"),
    ("/accounts/zerodha/X/faults", [{**RULE, "times": 0}], "[0].times"),
    ("/accounts/zerodha/X/faults", [{**RULE, "probability": 2}], "[0].probability"),
    ("/accounts/zerodha/X/faults", [RULE, {**RULE, "calls": "fetch_net_worth"}], "[1].calls"),
    ("/accounts/zerodha/X/faults", [{**RULE, "calls": [3]}], "[0].calls[0]"),
    ("/accounts/zerodha/X/faults", [{"kind": "unavailable", "status": 404}], "[0].status"),
    ("/accounts/zerodha/X/faults", [{"kind": "slow"}], "[0].ms"),
    ("/accounts/zerodha/X/faults", [{"kind": "hang", "at": "noon"}], "[0].at"),
    ("/accounts/fi_money/X/faults", [{"kind": "wrong_password", "calls": "ping"}], "[0].calls"),
    ("/accounts/fi_money/X/faults", [{"kind": "partial", "calls": "ping"}], "[0].calls"),
    ("/accounts/fi_money/X/data", {"without": "TESTCO"}, "without"),
    ("/clock", {}, "body"),
    ("/clock", {"now": "2026-01-15T05:59:00"}, "now"),
    ("/clock", {"now": "2126-01-15T05:59:00Z"}, "now"),
    ("/clock", {"now": None}, "body"),
    ("/clock", {"now": "2026-01-15T05:59:00Z", "real": True}, "body"),
    ("/clock", {"real": True, "frozen": True}, "body"),
    ("/clock", {"advance_seconds": 1e300}, "advance_seconds"),
    ("/breakpoints/a", {}, "platform"),
    ("/breakpoints/a", {"platform": "bank"}, "platform"),
    ("/breakpoints/a", {"platform": "fi_money", "call": "/trades"}, "call"),
    ("/breakpoints/a", {"platform": "fi_money", "login": ""}, "login"),
    ("/limits", {"zerodha": {"per_second": -1}}, "zerodha.per_second"),
    ("/limits", {"fi_money": {"concurrent_per_session": 0}}, "fi_money.concurrent_per_session"),
    ("/limits", {"zerodha": {"per_minute": 1}}, "zerodha.per_minute"),
    ("/limits", {"nse": {}}, "platform"),
]


@pytest.mark.parametrize(("path", "body", "field"), BAD)
def test_bad_requests(accounts: Accounts, path: str, body: Any, field: str) -> None:
    reply = accounts.control.put(path, json=body)
    assert (reply.status_code, reply.json()["field"]) == (400, field)
    assert reply.json()["error"].startswith(f"{field}: ")


def test_other_bad_requests(accounts: Accounts) -> None:
    control = accounts.control
    assert control.put("/clock", content=b"{").json()["field"] == "body"
    for query in ("after=x", "limit=-1", "platform=nse", "user=1"):
        reply = control.get(f"/calls?{query}")
        assert (reply.status_code, reply.json()["field"]) == (400, query.partition("=")[0])
    accounts.put("/breakpoints/a", {"platform": "fi_money"})
    assert control.put("/breakpoints/a", json={"platform": "fi_money"}).json()["field"] == "name"
    for reply in (
        control.get("/breakpoints/b"),
        control.delete("/breakpoints/b"),
        control.get("/nothing"),
    ):
        assert reply.status_code == 404
        assert reply.json()["error"]
    assert control.post("/clock").status_code == 405


def test_a_refused_rule_leaves_the_others_as_they_were(accounts: Accounts) -> None:
    path = "/accounts/zerodha/JN0005/faults"
    before = accounts.put(path, [{"kind": "throttled", "times": 3}])
    reply = accounts.control.put(path, json=[{"kind": "expired"}, {**RULE, "calls": "x"}])
    assert reply.status_code == 400
    assert "/portfolio/holdings" in reply.json()["error"]
    assert accounts.get(path) == before
