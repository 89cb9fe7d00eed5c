"""How the document shows lists of messages, maps and raw bodies in requests."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from openapi import contract
from openapi.errors import Responses
from openapi.examples import PARAMETERS, REPLIES
from openapi.operations import Operations
from openapi.schemas import Schemas
from server.rpc.method import Method
from tests.rpc.bills.service import compiled

SPLIT = {"memberId": "m1", "amount": {"value": "5", "currency": "INR"}, "tags": []}


@pytest.fixture(scope="module")
def rpcs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Method]:
    methods, _ = compiled(tmp_path_factory.mktemp("bills"))
    return dict(methods)


@pytest.fixture
def schemas(monkeypatch: pytest.MonkeyPatch) -> Schemas:
    monkeypatch.setattr(contract, "comment", lambda name: name)
    return Schemas([])


@pytest.mark.parametrize(
    ("body", "fits"),
    [
        ({"splits": [SPLIT]}, True),
        ({"splits": [SPLIT], "labels": {"a": "b"}, "limits": {"a": SPLIT["amount"]}}, True),
        ({"splits": []}, False),
        ({"splits": [SPLIT] * 4}, False),
        ({"splits": [SPLIT | {"other": 1}]}, False),
        ({"splits": [SPLIT], "labels": {"a": 1}}, False),
        ({"splits": [SPLIT], "labels": {"a": "", "b": "", "c": ""}}, False),
        ({"splits": [SPLIT], "labels": {"much too long": ""}}, False),
        ({"splits": [SPLIT], "limits": {"a": {"value": "x"}}}, False),
    ],
)
def test_lists_and_maps(
    schemas: Schemas, rpcs: dict[str, Method], body: dict[str, Any], fits: bool
) -> None:
    reference, needed = schemas.body(rpcs["SplitBill"])
    assert needed
    whole = reference | {"components": {"schemas": schemas.components}}
    assert Draft202012Validator(whole).is_valid(body) == fits


def test_a_raw_body(
    schemas: Schemas, rpcs: dict[str, Method], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("billId", "purpose"):
        monkeypatch.setitem(PARAMETERS, name, "receipt")
    monkeypatch.setitem(REPLIES, "AttachReceipt", {"An example": {}})
    operations = Operations(schemas, Responses())
    monkeypatch.setattr(Responses, "of", lambda self, method: {})
    attach = operations.of(rpcs["AttachReceipt"], "Bills")
    assert attach["requestBody"]["content"]["*/*"]["schema"]["format"] == "binary"
    named = {(each["in"], each["name"]) for each in attach["parameters"] if "in" in each}
    assert named == {("path", "billId"), ("query", "purpose")}
    webhook = operations.of(rpcs["ReceiveWebhook"], "Bills")
    assert webhook["responses"]["200"]["content"]["*/*"]["schema"]["format"] == "binary"
