"""What of the benchmark is pure: ratios, verdicts, load generators' results, its plan. No peer is started."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from typer.testing import CliRunner

from bench import cases, data, grpc_load, mix, stats, table, tools, wrk
from bench.__main__ import app
from bench.agreement import plain
from bench.comparison import Plan
from bench.measure import Measured
from bench.syncs import record
from sandbox.platforms.fi_money.data import TOOLS

_RATES = st.floats(min_value=0.1, max_value=1e6)


@given(st.lists(st.tuples(_RATES, _RATES), min_size=1, max_size=9))
def test_a_ratio_is_between_its_lowest_and_highest_turn(turns: list[tuple[float, float]]) -> None:
    found = stats.ratio([one for one, _ in turns], [other for _, other in turns])
    assert found.low <= found.median <= found.high
    assert found.low == min(one / other for one, other in turns)
    assert found.turns == len(turns)


def test_a_ratio_compares_within_turns() -> None:
    # The second turn was slow for both: the ratio does not move.
    assert stats.ratio([200, 20, 202], [100, 10, 100]).median == 2.0


def test_a_ratio_needs_turns_of_both() -> None:
    with pytest.raises(ValueError, match="each turn"):
        stats.ratio([1.0], [])


@given(st.lists(_RATES, min_size=1), st.floats(min_value=0.1, max_value=100))
def test_a_percentile_leaves_its_share_below(values: list[float], share: float) -> None:
    found = stats.percentile(values, share)
    assert found in values
    assert sum(value <= found for value in values) >= len(values) * share / 100 - 1e-6


@pytest.mark.parametrize(
    ("median", "less", "word"),
    [
        (1.6, False, "aim"), (1.2, False, "reached"), (1.1, False, "not reached"),
        (1.1, True, "aim"), (1.3, True, "reached"), (1.7, True, "not reached"),
    ],
)  # fmt: skip
def test_a_verdict_knows_which_way_is_better(median: float, less: bool, word: str) -> None:
    bounds = (1.5, 1.1) if less else (1.2, 1.6)
    row = {"median": median, "less": less, "at_least": bounds[0], "aim": bounds[1]}
    assert table.verdict(row) == word


def test_nothing_is_said_where_nothing_is_asked() -> None:
    assert table.verdict({"median": 0.5, "at_least": None, "aim": None}) == ""


def _slice(rate: float, p99: float) -> wrk.Slice:
    return wrk.Slice(int(rate * 3), 3.0, 0, {"50": p99 / 2, "99": p99})


def test_the_rows_of_a_case_are_ratios_of_its_turns() -> None:
    hot = cases.named(["hot-user"])[0]
    turns = {
        "finlink": [_slice(3000, 20)] * 3,
        "noop": [_slice(4000, 15)] * 3,
        "express-1": [_slice(1000, 100)] * 3,
    }
    found = Measured(hot, turns).as_dict()
    rows = {row["row"]: row for row in found["rows"]}
    assert {title: row["median"] for title, row in rows.items()} == {
        "GET user, hot: over noop": 0.75,
        "GET user, hot: over express-1": 3.0,
        "GET user, hot: p99 over express-1": 0.2,
    }  # those that were left out have no row
    reported = {row["row"]: table.verdict(row) for row in found["rows"]}
    assert reported == {
        "GET user, hot: over noop": "not reached",
        "GET user, hot: over express-1": "aim",
        "GET user, hot: p99 over express-1": "aim",
    }
    json.dumps(found)
    console = Console(width=120, record=True, quiet=True)
    console.print(table.rows_table(found["rows"]), table.figures_table(found))


def test_each_row_compares_entrants_of_its_case() -> None:
    entrants = {case.name: {entrant.name for entrant in case.entrants} for case in cases.CASES}
    for row in cases.ROWS:
        assert {row.over, cases.FINLINK} <= entrants[row.case], row


def test_a_plan_keeps_finlink_and_what_was_asked_for() -> None:
    plan = Plan(cases.named(["hot-user"]), {"noop"}, 1, 1, 1_000)
    (case,) = plan.wanted()
    assert [entrant.name for entrant in case.entrants] == ["finlink", "noop"]
    assert case.writes


def test_an_unknown_case_is_refused_with_those_there_are() -> None:
    outcome = CliRunner().invoke(app, ["run", "--only", "nothing"])
    assert outcome.exit_code != 0
    assert "there are hot-user, uniform-user" in str(outcome.exception)


def test_missing_tools_are_reported_with_how_to_get_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(tools.MissingTool, match="wrk: apt-get install wrk; h2load: apt-get"):
        tools.check("wrk", "h2load")


def test_a_slice_is_read_from_what_wrk_prints() -> None:
    line = (
        'SLICE {"requests":300,"duration_us":3000000,"failed":2,"latency_us":{"50":1500,"99":9000}}'
    )
    found = wrk.parse(f"Running 3s test\n{line}\n")
    assert (found.rate, found.failed, found.p50, found.p99) == (100.0, 2, 1.5, 9.0)
    with pytest.raises(wrk.LoadError, match="unable to connect"):
        wrk.parse("unable to connect to 127.0.0.1")


def test_a_slice_is_read_from_what_h2load_logs() -> None:
    lines = [f"1600000000000\t200\t{micro}" for micro in range(1_000, 101_000, 1_000)]
    found = grpc_load.parse([*lines, "1600000000000\t503\t10"], 2.0)
    assert (found.requests, found.failed, found.rate) == (100, 1, 50.0)
    assert (found.p50, found.p99) == (50.0, 99.0)


def test_a_framed_request_is_the_contract_s() -> None:
    from finlink.users.v1.user_service_pb2 import GetUserRequest  # noqa: PLC0415

    message = GetUserRequest(user_id="bench_7").SerializeToString()
    assert grpc_load.framed("bench_7") == b"\x00" + len(message).to_bytes(4, "big") + message


def test_the_hot_set_is_spread_over_all_users_and_has_connectors() -> None:
    ids = data.hot_ids(data.FULL)
    assert len(set(ids)) == data.HOT
    assert ids[0] == "bench_0"
    assert ids[-1] == "bench_999900"
    assert all(data.connectors(int(each.removeprefix("bench_"))) for each in ids)


def test_there_are_as_many_connectors_as_users() -> None:
    made = [document for number in range(1_000) for document in data.connectors(number)]
    assert len(made) == 1_000
    assert not {each["userId"] for each in made} & set(data.syncing_users())
    live = [each for each in made if "sessionId" in each]
    assert len({each["sessionId"] for each in live}) == len(live)


def test_the_mix_has_its_shares_and_every_kind_a_limit() -> None:
    assert sum(mix.SHARES.values()) == 1_000
    sent = list(mix.requests(2_000, 1_000, ["0" * 24], 1))
    kinds = {request.kind for request in sent}
    assert kinds == set(mix.LIMITS_MS) == set(mix.TITLES)
    reads = sum(request.verb == "GET" for request in sent)
    assert 0.9 < reads / len(sent) < 0.97
    made = [request.body for request in sent if request.path == "/api/v1/users"]
    assert len(set(made)) == len(made) > 0  # no user twice


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": None, "b": []}, {}),
        ({"at": "2024-01-01T00:00:00Z"}, {"at": "2024-01-01T00:00:00.000+00:00"}),
        ({"income": 5}, {"income": 5.0}),
    ],
)
def test_equal_replies_are_equal(one: Any, other: Any) -> None:
    assert plain(one) == plain(other)


def test_different_replies_are_not_equal() -> None:
    assert plain({"a": False}) != plain({})
    assert plain({"a": 0}) != plain({})
    assert plain({"at": "2024-01-01T00:00:01Z"}) != plain({"at": "2024-01-01T00:00:00Z"})


def test_recordings_have_every_tool_and_are_made_once(tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in record(tmp_path).rglob("*.json")}
    assert {path.stem for path in before if path.parent.name != "zerodha"} == set(TOOLS)
    assert "holdings" in {path.stem for path in before if path.parent.name == "zerodha"}
    record(tmp_path)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.json")} == before


def test_a_plan_leaves_cases_as_they_are_but_for_who_takes_part() -> None:
    for case in cases.CASES:
        (planned,) = Plan([case], set(), 1, 1, 1000).wanted()
        assert planned == case
        (alone,) = Plan([case], {"nobody else"}, 1, 1, 1000).wanted()
        assert [entrant.name for entrant in alone.entrants] == [cases.FINLINK]
        assert replace(alone, entrants=case.entrants) == case
