"""Each closed word list stands once in the contract, and whoever reads one reads that."""

from __future__ import annotations

from typing import get_args

import finlink_words
import pytest
from buf.validate import validate_pb2
from finlink.rules.v1 import words_pb2
from google.protobuf import descriptor_pb2

from codegen.derived_rules import Contract, plural
from tests.contract.descriptors import descriptor_set, own_files

LISTS = Contract(descriptor_set()).lists()
FIELDS = {
    f"{file.package}.{message.name}.{field.name}": (file.package, field)
    for file in own_files()
    for message in file.message_type
    for field in message.field
}
every_list = pytest.mark.parametrize("name", LISTS)


def words_of(field: descriptor_pb2.FieldDescriptorProto) -> list[str]:
    rules = field.options.Extensions[validate_pb2.field]
    text = rules.repeated.items.string if rules.HasField("repeated") else rules.string
    return list(getattr(text, "in"))


def test_no_field_brings_words_of_its_own() -> None:
    restricted = {
        name: field.options.Extensions[words_pb2.words]
        for name, (_, field) in FIELDS.items()
        if words_of(field)
    }
    assert restricted["finlink.users.v1.CreateUserRequest.risk_tolerance"] == "RiskTolerance"
    assert [name for name, listed in restricted.items() if not listed] == []


def test_a_field_is_restricted_to_all_words_of_its_list() -> None:
    for name, (_, field) in FIELDS.items():
        if listed := field.options.Extensions[words_pb2.words]:
            assert words_of(field) == list(LISTS[listed.rpartition(".")[2]]), name


@every_list
def test_code_that_knows_no_messages_has_the_list(name: str) -> None:
    assert getattr(finlink_words, plural(name)) == LISTS[name]
    assert get_args(getattr(finlink_words, name)) == LISTS[name]


def test_the_words_are_those_of_the_product_s_document() -> None:
    assert LISTS["RiskTolerance"] == ("low", "medium", "high")
    assert LISTS["UserStatus"] == ("active", "inactive", "suspended")
    assert set(LISTS["ConnectionStatus"]) == {"connected", "disconnected", "error", "expired"}
    assert set(LISTS["DataType"]) == {"transactions", "portfolio", "profile", "trades"}
    assert {"fi_money", "zerodha"} <= set(LISTS["Platform"])


def test_every_enum_is_a_list_that_a_field_names_or_belongs_to_the_contract_s_own_rules() -> None:
    for file in own_files():
        for enum in file.enum_type:
            rules = file.package in {"finlink.rules.v1", "finlink.errors.v1"}
            assert rules != (enum.name in LISTS), enum.name
