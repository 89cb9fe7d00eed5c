"""Exchange rates over REST and over gRPC; and what staff look at, which is recorded."""

from __future__ import annotations

from typing import Any

import grpc
import httpx
import pytest
from finlink.money.v1 import rate_service_pb2 as rpc
from finlink.money.v1.rate_service_pb2_grpc import RateServiceStub

from tests.domains.money.requests import loaded_rates
from tests.e2e import connector_steps as steps
from tests.e2e.connector_steps import Documents, Json
from tests.e2e.money_steps import Money, error_of

FRIDAY = "2026-10-30"
# Of the package that is installed; each test that enters rates has a day of its own.
RUPEES, DOLLARS = "106.084", "1.1172"


@pytest.fixture
async def money(rest: httpx.AsyncClient, new_id: str) -> Money:
    await steps.create_user(rest, new_id)
    await loaded_rates(rest, new_id)
    return Money(rest, new_id)


def rates_of(data: Json) -> dict[str, str]:
    return {each["currency"]: each["rate"] for each in data["rates"]}


async def test_over_rest(money: Money) -> None:
    reply = await money.get("/exchange-rates", date="2026-11-01", base="EUR")
    assert reply.status_code == 200
    data = reply.json()["data"]
    assert {name: data[name] for name in data.keys() - {"rates", "etag"}} == {
        "date": "2026-11-01", "base": "EUR", "ratesAsOf": FRIDAY, "ratesStale": False,
    }  # fmt: skip
    assert {"currency": "INR", "rate": RUPEES, "rateDate": FRIDAY, "source": "ecb"} in data["rates"]
    assert [each["currency"] for each in data["rates"]] == sorted(rates_of(data))
    assert rates_of(data)["USD"] == DOLLARS
    assert "RUB" not in rates_of(data)
    of_rupee = (await money.get("/exchange-rates", date=FRIDAY)).json()["data"]
    assert (of_rupee["base"], rates_of(of_rupee)["EUR"]) == ("INR", "0.00942649221372")
    today = (await money.get("/exchange-rates")).json()["data"]
    assert today["ratesStale"] is (today["date"] > "2026-11-06")


async def test_an_etag_of_the_rates(money: Money) -> None:
    first = await money.get("/exchange-rates", date="2020-02-03")
    tag = first.headers["etag"]
    same = await money.get("/exchange-rates", {"if-none-match": tag}, date="2020-02-03")
    assert (same.status_code, same.content) == (304, b"")
    other = await money.get("/exchange-rates", {"if-none-match": tag}, date="2020-02-04")
    assert other.status_code == 200


async def test_an_admin_enters_what_the_ecb_lacks(money: Money, chief: Any) -> None:
    day: dict[str, Any] = {"date": "2019-03-01", "base": "USD"}
    before = await money.get("/exchange-rates", **day)
    assert "AED" not in rates_of(before.json()["data"])
    body = {**day, "rates": {"AED": "3.6725", "SAR": "3.75"}}
    reply = await money.rest.put("/exchange-rates", json=body, headers=chief)
    assert reply.status_code == 200, reply.text
    assert reply.json()["message"] == "Exchange rates updated successfully"
    data = reply.json()["data"]
    entered = {"currency": "AED", "rate": "3.6725", "rateDate": "2019-03-01", "source": "admin"}
    assert entered in data["rates"]
    assert (await money.get("/exchange-rates", **day)).json()["data"] == data
    rupees = (await money.get("/exchange-rates", date="2019-03-02", base="INR")).json()["data"]
    assert "AED" in rates_of(rupees)

    removal = {**day, "removed": ["AED", "SAR"], "etag": before.json()["data"]["etag"]}
    stale = await money.rest.put("/exchange-rates", json=removal, headers=chief)
    assert error_of(stale) == (412, "ETAG_MISMATCH")
    assert stale.json()["error"]["metadata"] == {"etag": data["etag"]}
    removed = await money.rest.put(
        "/exchange-rates",
        json={**day, "removed": ["AED", "SAR"]},
        headers={**chief, "if-match": reply.json()["data"]["etag"].join('""')},
    )
    assert removed.json()["data"]["rates"] == before.json()["data"]["rates"]


async def test_over_grpc(channel: grpc.aio.Channel, money: Money, chief: Any) -> None:
    rates: Any = RateServiceStub(channel)
    own = {"metadata": (("x-on-behalf-of", money.user_id),)}
    asked = rpc.GetExchangeRatesRequest(date="2018-05-04", base="INR")
    before = (await rates.GetExchangeRates(asked, **own)).data
    change = rpc.UpdateExchangeRatesRequest(
        date="2018-05-04", base="INR", rates={"LKR": "2.5", "USD": "0.5"}
    )
    by_admin = {"metadata": tuple(chief.items())}
    after = (await rates.UpdateExchangeRates(change, **by_admin)).data
    assert {each.currency: each.rate for each in after.rates if each.source == "admin"} == {
        "LKR": "2.5", "USD": "0.5",
    }  # fmt: skip
    assert (await rates.GetExchangeRates(asked, **own)).data == after
    undone = rpc.UpdateExchangeRatesRequest(date="2018-05-04", base="INR", removed=["LKR", "USD"])
    assert (await rates.UpdateExchangeRates(undone, **by_admin)).data.rates == before.rates


async def test_who_may_enter_rates(money: Money, helper: Any) -> None:
    body = {"date": FRIDAY, "base": "USD", "rates": {"AED": "3.6725"}}
    for headers, status in ((helper, 403), ({"x-on-behalf-of": money.user_id}, 403), ({}, 401)):
        reply = await money.rest.put("/exchange-rates", json=body, headers=headers)
        assert reply.status_code == status, reply.text
    assert (await money.rest.get("/exchange-rates")).status_code == 401


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, {"date", "base"}),
        ({"date": FRIDAY, "base": "USD", "rates": {"AED": 3.6725}}, {"rates.AED"}),
        ({"date": FRIDAY, "base": "USD", "rates": {"AED": "0.00"}}, {"rates.AED"}),
        ({"date": FRIDAY, "base": "USD", "rates": {"AED": "1e3", "SAR": "-1"}}, {"rates.AED", "rates.SAR"}),
        ({"date": FRIDAY, "base": "USD", "rates": {"USD": "1", "XAU": "1"}}, {"rates.USD", "rates.XAU"}),
        ({"date": "2026-02-30", "base": "DOLLAR", "removed": ["aed"]}, {"date", "base", "removed[0]"}),
        ({"date": "2030-01-01", "base": "USD", "rates": {"AED": "1"}}, {"date"}),
        ({"date": FRIDAY, "base": "USD"}, set()),
    ],
)  # fmt: skip
async def test_what_is_wrong_is_named(
    money: Money, chief: Any, body: Json, fields: set[str]
) -> None:
    reply = await money.rest.put("/exchange-rates", json=body, headers=chief)
    assert error_of(reply) == (400, "VALIDATION_ERROR")
    assert {each["field"] for each in reply.json()["error"]["details"]} == fields


async def test_a_base_without_a_rate(money: Money, chief: Any) -> None:
    unknown = await money.get("/exchange-rates", date="1998-01-01", base="USD")
    assert error_of(unknown) == (404, "EXCHANGE_RATE_NOT_FOUND")
    gone = {"date": FRIDAY, "base": "RUB", "rates": {"AED": "1"}}
    refused = await money.rest.put("/exchange-rates", json=gone, headers=chief)
    assert error_of(refused) == (404, "EXCHANGE_RATE_NOT_FOUND")
    wrong = await money.get("/exchange-rates", date="tomorrow", base="rupee")
    assert {each["field"] for each in wrong.json()["error"]["details"]} == {"date", "base"}


async def viewed(documents: Documents, user_id: str) -> list[Json]:
    query = {"userId": user_id, "action": {"$regex": "viewed$"}}
    return await documents["audit_events"].find(query).sort("_id").to_list(None)


async def test_what_staff_look_at_on_behalf_of_a_user_is_recorded(
    money: Money, documents: Documents, helper: Any, chief: Any, new_id: str
) -> None:
    await money.get("/exchange-rates")  # a service for the user, which is not staff
    assert await viewed(documents, money.user_id) == []
    for staff, name in ((helper, "helper"), (chief, "chief")):
        reply = await money.get("/exchange-rates", staff)
        assert reply.status_code == 200
        events = await viewed(documents, money.user_id)
        (event,) = [each for each in events if each["actor"]["userId"] == f"{new_id}_{name}"]
        assert (event["action"], event["fields"]) == ("money.viewed", ["GetExchangeRates"])
        assert event["actor"]["onBehalfOf"] == money.user_id
    nothing = await money.get("/exchange-rates", helper, date="1998-01-01")
    assert nothing.status_code == 404
    of_staff = await money.rest.get(
        "/exchange-rates", headers={**helper, "x-on-behalf-of": f"{new_id}_chief"}
    )
    assert of_staff.status_code == 403
    own = await money.rest.get("/exchange-rates", headers=helper)
    assert own.status_code == 200
    assert len(await viewed(documents, money.user_id)) == 2
    assert await viewed(documents, f"{new_id}_chief") == []
    assert await viewed(documents, f"{new_id}_helper") == []
