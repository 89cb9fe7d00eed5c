"""docs/openapi.yaml is valid, and what the contract says now."""

from __future__ import annotations

from openapi_spec_validator import OpenAPIV31SpecValidator

from openapi.document import text
from tests.openapi.document import PLACE, document


def test_it_is_what_the_contract_says_now() -> None:
    assert PLACE.read_text() == text(), "the contract has changed: run `make openapi`"


def test_it_is_valid() -> None:
    assert [str(error) for error in OpenAPIV31SpecValidator(document()).iter_errors()] == []
