"""The document is written in what client generators take.

`test_generated_clients.py` tries some of them. This is what broke their clients, looked for everywhere.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor

from openapi.examples import MESSAGES, error
from tests.contract.descriptors import methods
from tests.openapi.document import at, document, problems
from tests.openapi.test_completeness import camel

Schema = dict[str, Any]

# By a language itself. OpenAPI Generator renames `Record` for TypeScript; it is the contract's name.
TAKEN = {"Any", "Array", "Date", "Error", "Exception", "List", "Map", "Object", "Set", "String"}
NULL = {"type": "null"}


def in_place(value: Any, place: str = "") -> Iterator[tuple[str, Schema]]:
    """Every schema of the document, with those inside it; the rules of `object_rule` are no types."""
    if isinstance(value, list):
        for index, each in enumerate(value):
            yield from in_place(each, f"{place}/{index}")
    elif isinstance(value, dict):
        for name, each in value.items():
            if name == "schema" or place == "/components/schemas":
                yield from inside(each, f"{place}/{name}")
            elif name not in {"example", "examples", "value"}:
                yield from in_place(each, f"{place}/{name}")


def inside(schema: Schema, place: str) -> Iterator[tuple[str, Schema]]:
    yield place, schema
    for name, each in schema.get("properties", {}).items():
        yield from inside(each, f"{place}/properties/{name}")
    for word in ("items", "additionalProperties"):
        if isinstance(schema.get(word), dict):
            yield from inside(schema[word], f"{place}/{word}")
    for word in ("allOf", "anyOf", "oneOf"):
        for index, each in enumerate(schema.get(word, ())):
            yield from inside(each, f"{place}/{word}/{index}")


SCHEMAS = dict(in_place(document()))
NAMED: dict[str, Schema] = document()["components"]["schemas"]


def patterns() -> set[str]:
    return {schema["pattern"] for schema in SCHEMAS.values() if "pattern" in schema}


def test_all_of_it_is_looked_at() -> None:
    assert {f"/components/schemas/{name}" for name in NAMED} < SCHEMAS.keys()
    assert len(patterns()) > 10
    assert any(place.endswith("/parameters/0/schema") for place in SCHEMAS)
    assert any("/responses/" in place for place in SCHEMAS)


def test_each_schema_has_one_type() -> None:
    """A choice is of a type or null."""
    for place, schema in SCHEMAS.items():
        assert not schema.keys() & {"allOf", "oneOf", "not", "const"}, place
        if schema != NULL:
            kinds = schema.get("type", [])
            several = {kinds} if isinstance(kinds, str) else {*kinds}
            assert len(several - {"null"}) + ("$ref" in schema) + ("anyOf" in schema) == 1, place
        if choice := schema.get("anyOf"):
            assert "$ref" in choice[0], place
            assert choice[1:] == [NULL], place


def test_rules_between_fields_are_conditions() -> None:
    for place, schema in SCHEMAS.items():
        assert ("if" in schema) == ("then" in schema), place
        assert schema.get("if", {"type": "object"}) == {"type": "object"}, place
        assert "else" not in schema, place


def messages_of_replies() -> dict[str, Descriptor]:
    found: dict[str, Descriptor] = {}
    waiting = [method.descriptor.output_type for method in methods()]
    while waiting:
        message = waiting.pop()
        if message.name not in found:
            found[message.name] = message
            waiting += [field.message_type for field in message.fields if field.message_type]
    return found


def test_one_of_several_fields_is_there() -> None:
    chosen = {
        name: [[camel(field.name) for field in one.fields] for one in message.oneofs]
        for name, message in messages_of_replies().items()
    }
    several = {
        name: found
        for name, ones in chosen.items()
        if (found := [fields for fields in ones if len(fields) > 1])
    }
    assert several.keys() == {name for name in NAMED if "then" in NAMED[name]}
    for name, ones in several.items():
        each = [{"oneOf": [{"required": [field]} for field in one]} for one in ones]
        assert NAMED[name]["then"] == (each[0] if len(each) == 1 else {"allOf": each})


def test_validators_keep_to_them() -> None:
    record, schema = MESSAGES["Record"], NAMED["Record"]
    assert problems(schema, record) == []
    rule = {word: schema[word] for word in ("if", "then")}
    assert problems(rule, record) == []
    assert problems(rule, record | {"trade": {}})
    assert problems(rule, {name: record[name] for name in record if name != "transaction"})
    unavailable = at("#/components/responses/Unavailable")["content"]["application/json"]["schema"]
    assert problems(unavailable, error("UNAVAILABLE")) == []
    assert problems(unavailable, error("INTERNAL"))


@pytest.mark.parametrize("pattern", sorted(patterns()))
def test_a_pattern_means_the_same_however_it_is_matched(pattern: str) -> None:
    """Searched for, from the start, or as a whole; in the dialects of Python, JavaScript, Java and Go."""
    assert re.fullmatch(r"\^.*\$", pattern)
    bare = re.sub(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", "x", pattern[1:-1])
    assert not set(bare) & set("^$"), "one that is not at an end"
    assert "(?" not in bare, "groups that Go does not have"
    repeated = "".join(re.findall(r"\{[\d,]+\}", bare))
    assert all(int(number) <= 1_000 for number in re.findall(r"\d+", repeated)), (
        "more than Go takes"
    )
    while re.search(r"\([^()]*\)", bare):
        bare = re.sub(r"\([^()]*\)", "x", bare)
    assert "|" not in bare, "an end that only one of two ways has"


def test_what_becomes_a_date_has_no_rules_of_text() -> None:
    for place, schema in SCHEMAS.items():
        if schema.get("format") in {"date", "date-time"}:
            assert not schema.keys() & {"pattern", "minLength", "maxLength", "enum"}, place


def test_words_differ_in_one_scope() -> None:
    """As generated Go has them."""
    names = [
        name
        for schema in NAMED.values()
        for name in schema.get("x-enum-varnames", map(str.upper, schema.get("enum", ())))
    ]
    assert [name for name, count in Counter(names).items() if count > 1] == []


def test_lists_of_words_have_a_name() -> None:
    assert {place for place, schema in SCHEMAS.items() if "enum" in schema} <= {
        f"/components/schemas/{name}" for name in NAMED
    }


def test_objects_have_a_name_of_their_own() -> None:
    for place, schema in SCHEMAS.items():
        if "properties" in schema:
            assert place.count("/") == 3, f"{place} gets a name from the generator"
    assert not NAMED.keys() & TAKEN
    for name, schema in NAMED.items():
        fields = {field.lower() for field in schema.get("properties", ())}
        assert name.lower() not in fields, "a variable of Python would have the name of another"


def test_the_first_server_can_be_called() -> None:
    """Without variables, which generated Python does not take."""
    assert document()["servers"][0] == {
        "url": "http://localhost:3000",
        "description": "A Finlink of your own, as `make run` starts it",
    }
