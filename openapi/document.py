"""The whole document, and its text."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import yaml

from codegen.command_names import plural
from openapi import access, contract
from openapi.errors import SCHEMAS, Responses, code_schema
from openapi.operations import Operations
from openapi.schemas import Schemas

PLACE = contract.ROOT / "docs" / "openapi.yaml"
ABOUT = Path(__file__).with_name("about.md")
_TAGS = {
    "AuditService": "Audit trail",
    "AuthService": "Signing in",
    "KeyService": "Token keys",
    "MeService": "Own account",
    "RateService": "Exchange rates",
    "SystemService": "System",
    "UserAdminService": "User administration",
}
_HEAD = "# Made by `make openapi` from the contract in protos/finlink; changes belong there.\n"


def document() -> dict[str, Any]:
    """The contract over REST as an OpenAPI document."""
    services = contract.services()
    every = [method for service in services for method in contract.methods(service)]
    schemas = Schemas(
        [method.descriptor.output_type for method in every],
        {method.request.full_name for method in every if method.path_fields},
    )
    responses = Responses()
    operations = Operations(schemas, responses)
    paths: dict[str, Any] = {}
    tags = []
    for service in services:
        tag = _TAGS.get(service.name) or plural(service.name.removesuffix("Service"))
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
            "responses": {"NotModified": _NOT_MODIFIED} | responses.components,
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
    "If-Match": _header_parameter(
        "If-Match",
        "The `ETag` of the revision that the change is about; another one than the current is 412. Read as "
        "`etag`.",
        {},
    ),
    "If-None-Match": _header_parameter(
        "If-None-Match",
        "The `ETag` of what the caller has: if it is current, the reply is 304 without a body.",
        {},
    ),
    "Last-Event-ID": _header_parameter(
        "Last-Event-ID",
        "Read as `resumeToken`, and comes before it; a browser's EventSource sends it by itself.",
        {},
    ),
    "x-on-behalf-of": _header_parameter(
        "x-on-behalf-of",
        "The `userId` of the user for whom an API key calls, or whose data staff read. In development, as "
        "long as there are no API keys, it needs neither. Absent: the user who has signed in.",
        {"pattern": "^[A-Za-z0-9_]{1,64}$"},
    ),
    "x-request-id": _header_parameter(
        "x-request-id",
        "Names the call in logs, traces and the audit trail; made where absent, and given back.",
        {},
    ),
}
_HEADERS = {
    "x-request-id": _header("Names the call in logs, traces and the audit trail.", "string"),
    "ETag": _header("The revision: `data.etag` as a weak entity tag.", "string"),
    "Retry-After": _header("Seconds to wait.", "integer"),
    "x-ratelimit-limit": _header(
        "Calls in the window, of the group or of all; absent where limits are off.", "string"
    ),
    "x-ratelimit-remaining": _header("How many of them are left.", "integer"),
    "x-ratelimit-reset": _header("Seconds until the next one comes back.", "integer"),
}
_NOT_MODIFIED = {
    "description": "The caller has the current revision already.",
    "headers": {"ETag": {"$ref": "#/components/headers/ETag"}},
}


class _Plain(yaml.SafeDumper):
    """For readers: no anchors, and a text of many lines as a block."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Plain.add_representer(str, _text)
