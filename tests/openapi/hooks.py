"""What Schemathesis needs to know of the contract that JSON Schema cannot say.

Loaded by its command line (SCHEMATHESIS_HOOKS). Data that fits the document must be taken, but for
rules between fields and for tokens that nobody can make up: those are put right here.
"""

from __future__ import annotations

import os
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pycountry
import schemathesis
from hypothesis import strategies as st
from schemathesis import Case, CheckContext, HookContext, Response

# Judged by a library. Where Schemathesis looks at bounds, it makes up text from lengths and patterns alone.
JUDGED = ("phoneNumber", "currency", "language", "fromDate", "toDate", "password")
# What exists, so that not everything is answered by 404.
USER = os.environ["FUZZ_USER"]
CONNECTOR = os.environ["FUZZ_CONNECTOR"]
TOKENS = {"pageToken"}

_PHONES = st.integers(0, 9_999_999).map(lambda number: f"+91-987{number:07}")
_CURRENCIES = st.sampled_from([currency.alpha_3 for currency in pycountry.currencies])
_LANGUAGES = st.sampled_from(["en", "hi", "pt-BR", "zh-Hant-TW", "de-CH-1996"])
_YESTERDAY = datetime.now(UTC).date() - timedelta(days=1)
_DATES = st.dates(date(1850, 1, 1), _YESTERDAY).map(date.isoformat)
_TIMES = _DATES.map(lambda day: f"{day}T10:30:00.123Z")

schemathesis.openapi.format("phone-number", _PHONES)
schemathesis.openapi.format("currency-code", _CURRENCIES)
schemathesis.openapi.format("language-tag", _LANGUAGES)
schemathesis.openapi.format("date", _DATES)
schemathesis.openapi.format("date-time", _TIMES)
schemathesis.openapi.format("date-or-time", _DATES | _TIMES)


def _fits(case: Case[Any]) -> bool:
    """Whether the data is what the document allows."""
    return case.meta is not None and case.meta.generation.mode.is_positive


@schemathesis.hook
def map_case(context: HookContext, case: Case[Any]) -> Case[Any]:
    """Half of what fits acts on what exists; a token is one that Finlink gave, or none."""
    if not _fits(case):
        return case
    path: dict[str, Any] = case.path_parameters or {}
    if int(str(path.get("connectorId", "1")), 16) % 2 == 0:
        path["connectorId"] = CONNECTOR
    if case.method != "DELETE" and len(str(path.get("userId", "1"))) % 2 == 0:
        path["userId"] = USER
    query: dict[str, Any] = case.query or {}
    for name in TOKENS & query.keys():
        del query[name]
    if "fromDate" in query:
        query.pop("toDate", None)  # not before it
    return case


@schemathesis.hook
def filter_case(context: HookContext, case: Case[Any]) -> bool:
    """An update of nothing but nulls, and a mask that names nothing, is one of nothing, and refused."""
    body = case.body
    if not _fits(case):
        return not _null_for_a_format(case)
    return not (case.method == "PUT" and isinstance(body, dict) and _empty(body))


def _null_for_a_format(case: Case[Any]) -> bool:
    """Whether null stands where a wrong format was wanted: Schemathesis overlooks that it is allowed."""
    data = case.meta.phase.data if case.meta is not None else None
    for mutation in getattr(data, "mutations", ()):
        if "format" in mutation.keywords:
            value: Any = case.body
            for name in mutation.schema_pointer.split("/properties/")[1:]:
                value = value.get(name, ...) if isinstance(value, dict) else ...
            if value is None:
                return True
    return False


def _empty(update: dict[str, Any]) -> bool:
    values = {**update}
    mask = values.pop("updateMask", None) or ""
    return bool(update) and _nothing(values) and not str(mask).replace(",", "").strip()


def _nothing(value: object) -> bool:
    """Null, or an object of nothing else."""
    if isinstance(value, dict):
        return all(_nothing(each) for each in value.values())
    return value is None


# One field of several must be sent, which their descriptions say: schemas that do are beyond most generators.
CHOICES = {
    "createUser",
    "login",
    "reauthenticate",
    "resetPassword",
    "sendVerification",
    "verifySecondFactor",
}


@schemathesis.check
def what_fits_is_valid(context: CheckContext, response: Response, case: Case[Any]) -> None:
    """What the document allows is never told to break a rule; the domain may still refuse it."""
    if case.operation.definition.raw["operationId"] in CHOICES:
        return
    if _fits(case) and response.status_code == 400:
        error = response.json()["error"]
        blamed = [detail["field"] for detail in error["details"]]
        known = blamed and all(field.endswith(JUDGED) for field in blamed)
        assert error["code"] != "VALIDATION_ERROR" or known, response.text
