"""Calls for the user with the many transactions, one after another: each kind some times in each turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import cycle
from random import Random
from typing import Any

from bench.client import CallFailed
from bench.money.shape import MAIN, MONTHS, first_day, user_id
from bench.money.world import Caller, World, accounts_of, expense_categories
from bench.rows import figure_row, ratio_row
from bench.stats import percentile

BULK = 500
PERIODS = MONTHS // 3  # quarters
_SMALL = 2  # one of the others
_BACK = timedelta(days=round(4.5 * 365.25))
_FAR_PAGES = 20
_LIST = "/api/v1/transactions"
_NOTHING = "zyzzyva"  # a word that no transaction has
_BUDGET = "Five years"
# How often a kind is called in a turn.
_TIMES = {
    "no-op": 50, "create": 200, "create, small": 100, "first page": 60, "far page": 60,
    "account page": 30, "bulk create": 6, "bulk delete": 6, "sealed filter": 20, "analysis": 100,
    "running period": 20,
}  # fmt: skip
# Milliseconds of each call, by kind and turn.
Times = dict[str, list[list[float]]]
# Makes one call; gives the milliseconds that it took.
Make = Callable[[], float]


@dataclass
class Made:
    """Transactions of a user that a run has made, until it deletes them again."""

    client: Caller
    account: str
    category: str
    draw: Random
    ids: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, client: Caller) -> Made:
        category = expense_categories(client)[0]["id"]
        return cls(client, accounts_of(client)[0], category, Random(1))  # noqa: S311 - no secret

    def new(self) -> dict[str, Any]:
        paise = self.draw.randrange(1_000, 1_000_000)
        return {
            "accountId": self.account, "kind": "expense", "categoryId": self.category,
            "amount": {"value": f"{paise // 100}.{paise % 100:02}"}, "payee": "Banyan Grocers",
            "description": "Weekly shopping", "tags": ["family"],
        }  # fmt: skip

    def create(self) -> float:
        taken, made = self.client.timed_call("POST", _LIST, self.new())
        self.ids.append(made["id"])
        return taken

    def create_many(self) -> float:
        sent = {"transactions": [self.new() for _ in range(BULK)]}
        taken, made = self.client.timed_call("POST", f"{_LIST}/bulk", sent)
        self.ids += [each["id"] for each in made["transactions"]]
        return taken

    def delete_many(self) -> float:
        some, self.ids = self.ids[:BULK], self.ids[BULK:]
        return self.client.timed_call("DELETE", f"{_LIST}/bulk", {"ids": some})[0]

    def delete_all(self) -> None:
        while self.ids:
            self.delete_many()


def measure(world: World, turns: int) -> dict[str, Any]:
    times: Times = {name: [] for name in _TIMES}
    with world.client(MAIN) as client, world.client(_SMALL) as small:
        made = [Made.of(client), Made.of(small)]
        kinds = _kinds(world, client, *made)
        for turn in range(-1, turns):  # the first one warms up
            world.up.report(f"calls: turn {turn + 1} of {turns}")
            for name, make in kinds.items():
                taken = [make() for _ in range(_TIMES[name])]
                if turn >= 0:
                    times[name].append(taken)
            for each in made:
                each.delete_all()
    return {"ms": shown(times), "rows": rows(times)}


def _kinds(world: World, client: Caller, main: Made, small: Made) -> Mapping[str, Make]:
    """In the order of a turn: what is deleted in bulk was made before."""
    quarters = f"/api/v1/budgets/{five_years(world, client)}/analysis"
    far = _far_tokens(world, client)
    filtered = f"{_LIST}?q={_NOTHING}"
    _check(client, filtered, f"{quarters}?periods={PERIODS}")

    def get(path: str) -> Make:
        return lambda: client.timed_call("GET", path)[0]

    return {
        "no-op": get(f"/api/v1/noop/{user_id(MAIN)}"),
        "first page": get(_LIST),
        "far page": lambda: client.timed_call("GET", f"{_LIST}?pageToken={next(far)}")[0],
        "account page": get(f"/api/v1/accounts/{main.account}/transactions"),
        "sealed filter": get(filtered),
        "running period": get(quarters),
        "analysis": get(f"{quarters}?periods={PERIODS}"),
        "create": main.create,
        "create, small": small.create,
        "bulk create": main.create_many,
        "bulk delete": main.delete_many,
    }


def _far_tokens(world: World, client: Caller) -> Iterator[str]:
    """Tokens of pages that are 4.5 years back, reached by a walk from the first one."""
    far = (world.today - _BACK).isoformat()
    world.up.report(f"calls: walking back to {far}")
    page = client.done("GET", f"{_LIST}?limit=500")
    while page["transactions"][-1]["date"] > far:
        token = page["pagination"]["nextPageToken"]
        page = client.done("GET", f"{_LIST}?limit=500&pageToken={token}")
    tokens: list[str] = []
    while len(tokens) < _FAR_PAGES and "nextPageToken" in page["pagination"]:
        tokens.append(page["pagination"]["nextPageToken"])
        page = client.done("GET", f"{_LIST}?pageToken={tokens[-1]}")
    return cycle(tokens)


def five_years(world: World, client: Caller) -> str:
    """A budget of quarters from the first transaction on, with each category that there is."""
    for each in client.done("GET", "/api/v1/budgets")["budgets"]:
        if each["name"] == _BUDGET:
            found: str = each["id"]
            return found
    items = [
        {"categoryId": each["id"], "amount": {"value": "50000.00"}}
        for each in expense_categories(client)
    ]
    start = first_day(world.today).isoformat()
    new = {"name": _BUDGET, "period": "quarterly", "startDate": start, "items": items}
    made: str = client.done("POST", "/api/v1/budgets", new)["id"]
    return made


def _check(client: Caller, filtered: str, analysis: str) -> None:
    """Raises CallFailed unless calls do all of what they are measured for."""
    page = client.done("GET", filtered)
    if page.get("transactions"):
        raise CallFailed(f"GET {filtered} found something, so it did not open all it might")
    found = client.done("GET", analysis)["periods"]
    if len(found) != PERIODS or not all(float(each["totals"]["spent"]["value"]) for each in found):
        raise CallFailed(f"GET {analysis}: not {PERIODS} periods in which something was spent")


def shown(times: Times) -> dict[str, Any]:
    """Medians and 99th percentiles by turn."""
    return {
        name: {f"p{share}": _by_turn(each, share) for share in (50, 99)}
        for name, each in times.items()
    }


def _by_turn(turns: list[list[float]], share: float) -> list[float]:
    return [round(percentile(each, share), 3) for each in turns]


def rows(times: Times) -> list[dict[str, Any]]:
    middle = {name: _by_turn(each, 50) for name, each in times.items()}
    high = {name: _by_turn(times[name], 99) for name in ("create", "analysis")}
    return [
        figure_row("create, p50", middle["create"], 12, " ms", aim=8),
        figure_row("create, p99", high["create"], 40, " ms", aim=25),
        ratio_row("create, of many transactions over few", middle["create"], middle["create, small"],
                  None, None, less=True),
        figure_row("list 50, first page", middle["first page"], 8, " ms", aim=5),
        figure_row("list 50, 4.5 years back", middle["far page"], 8, " ms", aim=5),
        ratio_row("… over the first page", middle["far page"], middle["first page"], 1.2, 1.05, less=True),
        ratio_row("… first page over the no-op RPC", middle["first page"], middle["no-op"],
                  None, None, less=True),
        figure_row("list 50 of an account, with balances", middle["account page"], None, " ms"),
        figure_row("bulk 500", middle["bulk create"], 200, " ms", aim=100),
        figure_row("bulk deletion of 500", middle["bulk delete"], None, " ms"),
        figure_row("sealed filter, 5,000 opened", middle["sealed filter"], 120, " ms", aim=70),
        figure_row("budget analysis over 5 years, p50", middle["analysis"], 100, " ms", aim=50),
        figure_row("budget analysis over 5 years, p99", high["analysis"], 250, " ms", aim=120),
        figure_row("budget analysis of the running period", middle["running period"], None, " ms"),
    ]  # fmt: skip
