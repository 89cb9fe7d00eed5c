"""The access of each RPC: complete, as the table has it, and what follows from it."""

from __future__ import annotations

import pytest

from server.core.authorization import RECENT_LOGIN, Access, Reach
from server.rpc.method import Method
from tests.contract.access_table import CLOSED, OPEN
from tests.contract.descriptors import ids, methods
from tests.contract.test_contract_rpcs import reasons

METHODS = methods()
every_rpc = pytest.mark.parametrize("method", METHODS, ids=ids(METHODS))


def entry(method: Method) -> tuple[str, bool]:
    """What the table says, and whether the call is open without keys."""
    service = method.descriptor.containing_service.name
    for table, is_open in ((OPEN, True), (CLOSED, False)):
        if (said := table.get(service, {}).get(method.descriptor.name)) is not None:
            return said, is_open
    raise AssertionError(f"{method.path} is not in access_table.py")


def said_of(access: Access) -> str:
    """The access in the words of the table."""
    role = access.role.name.lower() if access.role else ""
    users = {
        Reach.PUBLIC: "all",
        Reach.NONE: "none",
        Reach.SELF: "own" if access.is_own else f"self {role}".rstrip(),
        Reach.ROLE: role,
    }[access.reach]
    words = [access.scope.name.lower(), users]
    words += ["recent"] if access.recent_login else []
    words += ["in-person"] if access.in_person else []
    words += ["staff"] if access.staff_reads else []
    return " ".join(words)


@every_rpc
def test_access_is_what_the_table_says(method: Method) -> None:
    assert (said_of(method.access), method.access.open_without_keys) == entry(method)


def test_the_table_has_no_rpc_that_is_gone() -> None:
    there = {(m.descriptor.containing_service.name, m.descriptor.name) for m in METHODS}
    listed = {
        (service, name)
        for table in (OPEN, CLOSED)
        for service, entries in table.items()
        for name in entries
    }
    assert listed == there


@every_rpc
def test_a_role_and_an_owner_say_something(method: Method) -> None:
    access = method.access
    assert (access.role is not None) == (access.reach is Reach.ROLE) or access.reach is Reach.SELF
    assert not access.owner or access.reach is Reach.SELF
    assert not access.owner or access.owner in method.request.fields_by_name
    assert not access.staff_reads or access.reads


# A recent login is needed for some requests only, so the service asks for it.
SOMETIMES_RECENT = {"StartExternal", "ChangePassword"}


@every_rpc
def test_a_recent_login_is_among_the_errors(method: Method) -> None:
    needed = method.access.recent_login is not None
    is_named = "RECENT_LOGIN_REQUIRED" in reasons(method)
    assert is_named == (needed or method.descriptor.name in SOMETIMES_RECENT)
    assert not needed or method.access.recent_login == RECENT_LOGIN
