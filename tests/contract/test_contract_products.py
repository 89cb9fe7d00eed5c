"""docs/products.md against the contract: each endpoint of the products has the RPC that the page names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from codegen.envoy import BASES, published
from server.rpc.method import Method
from tests.contract.descriptors import methods
from tests.stack import ROOT

PAGE = ROOT / "docs" / "products.md"
METHODS = {method.path.removeprefix("/"): method for method in methods()}
# By the bare path, as Envoy itself replies.
BY_ENVOY = {"/health", "/ready", "/docs"}

# Endpoints as the documents print them, by the page's headings: all of User & Data Connector and of User
# Management, of the others those about users, signing in and health.
ENDPOINTS = {
    "User & Data Connector": """
        POST /api/v1/users
        GET /api/v1/users/{userId}
        PUT /api/v1/users/{userId}/profile
        PUT /api/v1/users/{userId}/preferences
        DELETE /api/v1/users/{userId}
        GET /api/v1/users
        POST /api/v1/connectors
        DELETE /api/v1/connectors/{connectorId}
        GET /api/v1/connectors/user/{userId}
        GET /api/v1/connectors/{connectorId}
        GET /api/v1/connectors/user/{userId}/platform/{platform}
        GET /api/v1/connectors/status
        PUT /api/v1/connectors/{connectorId}/refresh-session
        GET /api/v1/connectors/{connectorId}/sync-status
        PUT /api/v1/connectors/{connectorId}/sync-settings
        POST /api/v1/connectors/{connectorId}/sync
    """,
    "User Management": """
        POST /v1/users
        GET /v1/users
        GET /v1/users/{id}
        PUT /v1/users/{id}
        PATCH /v1/users/{id}
        DELETE /v1/users/{id}
        POST /v1/auth/login
        POST /v1/auth/logout
        POST /v1/auth/refresh
        GET /v1/auth/me
        GET /v1/health
        GET /v1/ready
        GET /docs
    """,
    "Flint": """
        POST /api/auth/register
        POST /api/auth/login
        POST /api/auth/reset-password
        GET /api/users/:userId
    """,
    "Pocket Trend Tracker": """
        POST /v1/auth/register
        POST /v1/auth/login
        POST /v1/auth/logout
        POST /v1/auth/refresh
        GET /v1/auth/me
        PUT /v1/auth/me
        POST /v1/auth/forgot-password
        POST /v1/auth/reset-password
        GET /v1/health
        GET /v1/health/detailed
    """,
    "Pocket Credit": """
        POST /send-otp
        POST /verify-otp
        profile endpoint of the auth routes (prose)
        logout endpoint (prose)
    """,
}


@dataclass(frozen=True)
class Row:
    product: str
    document: str  # as it is printed there
    rpc: str
    canonical: str

    def __str__(self) -> str:
        return f"{self.product}: {self.document}"


def rows() -> Iterator[Row]:
    product = ""
    for line in PAGE.read_text().splitlines():
        if line.startswith("## "):
            product = line.removeprefix("## ")
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if line.startswith("| ") and cells[0] != "document":
            yield Row(product, *cells[:3])


ROWS = list(rows())


def without_names(endpoint: str) -> str:
    """The same for each name of a variable."""
    return re.sub(r"\{\w+\}|:\w+", "{}", endpoint)


def endpoints(method: Method) -> set[str]:
    """All that an RPC is reached by, names of variables left out."""
    own = (method.http_path, *method.other_paths)
    return {
        without_names(f"{method.verb.upper()} {path}") for each in own for path in published(each)
    }


def is_reached(printed: str, found: set[str]) -> bool:
    """A path that is printed without its base is the end of one."""
    verb, path = without_names(printed).split()
    if path.startswith(tuple(f"{base}/" for base in BASES)):
        return f"{verb} {path}" in found
    return any(each.startswith(f"{verb} ") and each.endswith(path) for each in found)


def test_every_endpoint_of_the_documents_is_on_the_page() -> None:
    printed = {
        (product, line.strip())
        for product, lines in ENDPOINTS.items()
        for line in lines.strip().splitlines()
    }
    assert {(row.product, row.document) for row in ROWS} == printed
    assert len(ROWS) == len({(row.product, row.document) for row in ROWS}), "each once"


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_an_endpoint_has_the_rpc_that_the_page_names(row: Row) -> None:
    verb, path = row.canonical.split()
    if row.rpc.startswith("none: "):
        assert verb == "GET"
        assert path in BY_ENVOY
        printed = row.document.split()[1]
        assert printed in {path, *(f"{base}{path}" for base in BASES if path != "/docs")}
        return
    found = endpoints(METHODS[row.rpc])
    assert without_names(row.canonical) in found
    if not row.document.endswith("(prose)"):
        assert is_reached(row.document, found), "as the document prints it"


def test_a_row_that_is_wrong_is_found() -> None:
    login = METHODS["finlink.identity.v1.AuthService/Login"]
    found = endpoints(login)
    assert is_reached("POST /v1/auth/login", found)
    assert is_reached("POST /login", found)
    for wrong in ("GET /v1/auth/login", "POST /v1/auth/logout", "POST /v1/login", "POST /logout"):
        assert not is_reached(wrong, found)
