"""What the control API refuses, and how it says so."""

from typing import Any

import pytest

from tests.sandbox.accounts import Accounts

RULE: dict[str, Any] = {"kind": "throttled"}
BAD = [
    ("/accounts/nse/X/faults", [], "platform"),
    ("/accounts/kite/%20/faults", [], "login"),
    ("/accounts/kite/X/faults", {}, "body"),
    ("/accounts/kite/X/faults", [RULE, {}], "[1].kind"),
    ("/accounts/kite/X/faults", [{"kind": "flood"}], "[0].kind"),
    ("/accounts/kite/X/faults", [{**RULE, "retry_after": "3"}], "[0].retry_after"),
    ("/accounts/kite/X/faults", [{**RULE, "status": 500}], "[0].status"),
    ("/accounts/kite/X/faults", [{**RULE, "times": 0}], "[0].times"),
    ("/accounts/kite/X/faults", [{**RULE, "probability": 2}], "[0].probability"),
    ("/accounts/kite/X/faults", [RULE, {**RULE, "calls": "fetch_net_worth"}], "[1].calls"),
    ("/accounts/kite/X/faults", [{**RULE, "calls": [3]}], "[0].calls[0]"),
    ("/accounts/kite/X/faults", [{"kind": "unavailable", "status": 404}], "[0].status"),
    ("/accounts/kite/X/faults", [{"kind": "slow"}], "[0].ms"),
    ("/accounts/kite/X/faults", [{"kind": "hang", "at": "noon"}], "[0].at"),
    ("/accounts/fi/X/faults", [{"kind": "wrong_password", "calls": "ping"}], "[0].calls"),
    ("/accounts/fi/X/faults", [{"kind": "partial", "calls": "ping"}], "[0].calls"),
    ("/accounts/fi/X/data", {"without": "TESTCO"}, "without"),
    ("/clock", {}, "body"),
    ("/clock", {"now": "2026-01-15T05:59:00"}, "now"),
    ("/clock", {"now": "2126-01-15T05:59:00Z"}, "now"),
    ("/clock", {"now": None}, "body"),
    ("/clock", {"now": "2026-01-15T05:59:00Z", "real": True}, "body"),
    ("/clock", {"real": True, "frozen": True}, "body"),
    ("/clock", {"advance_seconds": 1e300}, "advance_seconds"),
    ("/holds/a", {}, "platform"),
    ("/holds/a", {"platform": "bank"}, "platform"),
    ("/holds/a", {"platform": "fi", "call": "/trades"}, "call"),
    ("/holds/a", {"platform": "fi", "login": ""}, "login"),
    ("/limits", {"kite_per_second": -1}, "kite_per_second"),
    ("/limits", {"fi_concurrent_per_session": 0}, "fi_concurrent_per_session"),
    ("/limits", {"nse_per_second": 1}, "nse_per_second"),
]


@pytest.mark.parametrize(("path", "body", "field"), BAD)
def test_bad_requests(accounts: Accounts, path: str, body: Any, field: str) -> None:
    answer = accounts.control.put(path, json=body)
    assert (answer.status_code, answer.json()["field"]) == (400, field)
    assert answer.json()["error"].startswith(f"{field}: ")


def test_other_bad_requests(accounts: Accounts) -> None:
    control = accounts.control
    assert control.put("/clock", content=b"{").json()["field"] == "body"
    for query in ("after=x", "limit=-1", "platform=nse", "user=1"):
        answer = control.get(f"/calls?{query}")
        assert (answer.status_code, answer.json()["field"]) == (400, query.partition("=")[0])
    accounts.put("/holds/a", {"platform": "fi"})
    assert control.put("/holds/a", json={"platform": "fi"}).json()["field"] == "name"
    for answer in (control.get("/holds/b"), control.delete("/holds/b"), control.get("/nothing")):
        assert answer.status_code == 404
        assert answer.json()["error"]
    assert control.post("/clock").status_code == 405


def test_a_refused_rule_leaves_the_others_as_they_were(accounts: Accounts) -> None:
    path = "/accounts/kite/JN0005/faults"
    before = accounts.put(path, [{"kind": "throttled", "times": 3}])
    answer = accounts.control.put(path, json=[{"kind": "expired"}, {**RULE, "calls": "x"}])
    assert answer.status_code == 400
    assert "/portfolio/holdings" in answer.json()["error"]
    assert accounts.get(path) == before
