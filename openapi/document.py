"""The whole document, and its text."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import yaml

from openapi import access, contract
from openapi.errors import SCHEMAS, Responses, code_schema
from openapi.operations import Operations
from openapi.schemas import Schemas

PLACE = contract.ROOT / "docs" / "openapi.yaml"
ABOUT = Path(__file__).with_name("about.md")
_TAGS = {"AuditService": "Audit trail", "SystemService": "System"}
_HEAD = "# Made by `make openapi` from the contract in protos/finlink; changes belong there.\n"


def document() -> dict[str, Any]:
    """The contract over REST as an OpenAPI document."""
    services = contract.services()
    every = [method for service in services for method in contract.methods(service)]
    schemas = Schemas([method.descriptor.output_type for method in every])
    responses = Responses()
    operations = Operations(schemas, responses)
    paths: dict[str, Any] = {}
    tags = []
    for service in services:
        tag = _TAGS.get(service.name, service.name.removesuffix("Service") + "s")
        tags.append({"name": tag, "description": contract.comment(service.full_name)})
        for method in contract.methods(service):
            path = contract.in_json(method.http_path)
            paths.setdefault(path, {})[method.verb] = operations.of(method, tag)
    schemas.name_words()
    project = tomllib.loads((contract.ROOT / "pyproject.toml").read_text())["project"]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Finlink",
            "version": project["version"],
            "summary": project["description"],
            "description": ABOUT.read_text(),
        },
        "servers": [
            # First what works from anywhere, without variables: generated clients take it as it is.
            {
                "url": "http://localhost:3000",
                "description": "A Finlink of your own, as `make run` starts it",
            },
            {"url": "/", "description": "Where this document came from"},
        ],
        "security": [{"apiKey": []}, {"accessToken": []}, {}],
        "tags": tags,
        "paths": paths,
        "components": {
            "securitySchemes": access.SCHEMES,
            "parameters": _PARAMETERS,
            "headers": _HEADERS,
            "responses": responses.components,
            "schemas": schemas.components | SCHEMAS | {"ErrorCode": code_schema()},
        },
    }


def text() -> str:
    """The document as the file has it."""
    return _HEAD + yaml.dump(
        document(), Dumper=_Plain, sort_keys=False, allow_unicode=True, width=110
    )


def _header_parameter(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    of = {"type": "string"} | schema
    return {"name": name, "in": "header", "description": description, "schema": of}


def _header(description: str, kind: str) -> dict[str, Any]:
    return {"description": description, "schema": {"type": kind}}


_PARAMETERS = {
    "Idempotency-Key": _header_parameter(
        "Idempotency-Key",
        "A change sent again with the same key within 24 hours, on the same path, has no second effect "
        "and gets the first reply, even if that was an error (4xx). A call that failed with 429 or 5xx is "
        "tried again.",
        {"pattern": "^[\\x21-\\x7e]{1,255}$"},
    ),
    "Last-Event-ID": _header_parameter(
        "Last-Event-ID",
        "Read as `resumeToken`, and comes before it; a browser's EventSource sends it by itself.",
        {},
    ),
    "x-request-id": _header_parameter(
        "x-request-id",
        "Names the call in logs, traces and the audit trail; made where absent, and given back.",
        {},
    ),
}
_HEADERS = {
    "x-request-id": _header("Names the call in logs, traces and the audit trail.", "string"),
    "Retry-After": _header("Seconds to wait.", "integer"),
    "x-ratelimit-limit": _header(
        "Calls in the window, of the group or of all; absent where limits are off.", "string"
    ),
    "x-ratelimit-remaining": _header("How many of them are left.", "integer"),
    "x-ratelimit-reset": _header("Seconds until the next one comes back.", "integer"),
}


class _Plain(yaml.SafeDumper):
    """For readers: no anchors, and a text of many lines as a block."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Plain.add_representer(str, _text)
