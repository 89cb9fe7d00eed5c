"""Entity tags of a made-up resource: which headers a read gets, and which tag a change is sent with."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest
from finlink.money.v1 import category_pb2
from finlink.money.v1 import category_service_pb2 as rpc
from finlink.users.v1 import user_service_pb2 as users

from server.core.errors import EtagMismatch, InvalidRequest
from server.core.etags import check_etag
from server.rpc.call import Call, enter_call
from server.rpc.method import Method, methods_of
from server.rpc.middleware.etags import entity_tags

CATEGORIES = "finlink.money.v1.CategoryService"
METHODS = {
    **methods_of([CATEGORIES]),
    **methods_of([users.DESCRIPTOR.services_by_name["UserService"].full_name]),
}
NO_CONTEXT: Any = None


def method(name: str) -> Method:
    return next(each for each in METHODS.values() if each.descriptor.name == name)


def call(headers: Mapping[str, str], *, rest: bool = True) -> Call:
    made = Call("m", "r", "/api/v1/x" if rest else None, "1.2.3.4", metadata=headers)
    enter_call(made)
    return made


async def read(headers: Mapping[str, str], *, rest: bool = True) -> Call:
    made = call(headers, rest=rest)

    async def serve(request: Any, context: Any) -> Any:
        return rpc.GetCategoryResponse(data=category_pb2.Category(etag="12"))

    await entity_tags(method("GetCategory"), serve)(rpc.GetCategoryRequest(), NO_CONTEXT)
    return made


async def changed(name: str, headers: Mapping[str, str], request: Any, *, rest: bool = True) -> Any:
    call(headers, rest=rest)
    got = SimpleNamespace()

    async def serve(request: Any, context: Any) -> Any:
        got.request = request
        return rpc.UpdateCategoryResponse()

    await entity_tags(method(name), serve)(request, NO_CONTEXT)
    return got.request


async def test_a_read_shows_its_revision_and_may_not_be_sent_again() -> None:
    made = await read({})
    assert made.reply_headers == [("etag", 'W/"12"'), ("cache-control", "private, no-cache")]
    assert not made.not_modified
    for known in ('W/"12"', '"12"', ' W/"11" , "12"', "*"):
        assert (await read({"if-none-match": known})).not_modified, known
    for other in ('"1"', '"120"', "12", "", '"*"'):
        assert not (await read({"if-none-match": other})).not_modified, other


async def test_over_grpc_there_are_no_such_headers() -> None:
    made = await read({"if-none-match": '"12"'}, rest=False)
    assert made.reply_headers == []
    assert not made.not_modified
    request = rpc.UpdateCategoryRequest(etag="5")
    assert await changed("UpdateCategory", {"if-match": '"12"'}, request, rest=False) is request


async def test_the_tag_of_a_change_is_part_of_its_request() -> None:
    for sent in ('W/"12"', ' "12" '):
        request = await changed("UpdateCategory", {"if-match": sent}, rpc.UpdateCategoryRequest())
        assert request.etag == "12"
    any_one = await changed("UpdateCategory", {"if-match": "*"}, rpc.UpdateCategoryRequest())
    assert not any_one.HasField("etag")
    same = rpc.DeleteCategoryRequest(etag="12")
    assert (await changed("DeleteCategory", {"if-match": '"12"'}, same)).etag == "12"


async def test_a_header_that_could_not_be_checked_is_refused() -> None:
    for name, sent, request, field in (
        ("UpdateCategory", "12", rpc.UpdateCategoryRequest(), "If-Match"),
        ("UpdateCategory", '"1", "2"', rpc.UpdateCategoryRequest(), "If-Match"),
        ("UpdateCategory", '"1"', rpc.UpdateCategoryRequest(etag="2"), "etag"),
        ("CreateCategory", '"1"', rpc.CreateCategoryRequest(), "If-Match"),
        ("DeleteUser", '"1"', cast("Any", rpc.GetCategoryRequest()), "If-Match"),
    ):
        with pytest.raises(InvalidRequest) as caught:
            await changed(name, {"if-match": sent}, request)
        assert [each.field for each in caught.value.fields] == [field]


def test_rpcs_without_revisions_pay_nothing() -> None:
    async def serve(request: Any, context: Any) -> Any:
        raise AssertionError

    assert entity_tags(method("ListCategories"), serve) is serve
    assert entity_tags(method("GetUser"), serve) is serve


def test_a_revision_is_checked_if_it_is_named() -> None:
    check_etag(None, "12")
    check_etag("12", "12")
    with pytest.raises(EtagMismatch) as caught:
        check_etag("11", "12")
    assert caught.value.metadata == {"etag": "12"}
