"""docs/openapi.yaml as the tests read it."""

from __future__ import annotations

from functools import cache
from typing import Any

import jsonschema
import referencing
import yaml
from openapi_schema_validator import oas31_format_checker
from referencing.jsonschema import DRAFT202012

from tests.stack import ROOT

PLACE = ROOT / "docs" / "openapi.yaml"
_URI = "urn:finlink"


@cache
def document() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(PLACE.read_text())
    return loaded


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """What a reference leads to; anything else as it is."""
    while "$ref" in schema:
        schema = at(schema["$ref"])
    return schema


def at(reference: str) -> dict[str, Any]:
    place: Any = document()
    for part in reference.removeprefix("#/").split("/"):
        place = place[part.replace("~1", "/")]
    found: dict[str, Any] = place
    return found


def operations() -> dict[tuple[str, str], dict[str, Any]]:
    """By verb and path."""
    return {
        (verb, path): operation
        for path, verbs in document()["paths"].items()
        for verb, operation in verbs.items()
    }


def problems(schema: dict[str, Any], value: object) -> list[str]:
    """Where a value breaks a schema of the document."""
    resource = DRAFT202012.create_resource(document())
    registry: referencing.Registry[Any] = referencing.Registry().with_resource(_URI, resource)
    whole = _absolute(schema)
    validator = jsonschema.Draft202012Validator(
        whole, registry=registry, format_checker=oas31_format_checker
    )
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]


def _absolute(schema: Any) -> Any:
    """References from within the document, readable outside of it."""
    if isinstance(schema, dict):
        return {
            key: _URI + value if key == "$ref" else _absolute(value)
            for key, value in schema.items()
        }
    if isinstance(schema, list):
        return [_absolute(each) for each in schema]
    return schema
