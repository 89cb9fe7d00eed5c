"""Responses as most RPCs have them."""

from __future__ import annotations

from datetime import UTC, datetime

from finlink.audit.v1 import audit_service_pb2 as audit
from finlink.users.v1 import user_creation_pb2, user_lists_pb2, user_updates_pb2
from finlink.users.v1 import user_service_pb2 as rpc

from server.core.model import Model
from server.core.pages import Page
from server.rpc.call import Call, enter_call
from server.rpc.replies import changed, listed, reply
from server.rpc.times import timestamp

AT = datetime(2024, 1, 31, tzinfo=UTC)


class Person(Model, frozen=True):
    user_id: str
    status: str
    updated_at: datetime


ASHA, RAVI = Person("asha", "active", AT), Person("ravi", "inactive", AT)


def test_what_was_asked_for_is_in_data() -> None:
    response = reply(rpc.GetUserResponse, ASHA)
    assert (response.data.user_id, response.data.status) == ("asha", "active")


def test_a_page_is_a_list_and_where_it_stands() -> None:
    page = Page([ASHA, RAVI], 2, 2, 7, "token")
    data = listed(user_lists_pb2.ListUsersResponse, page, total_users=page.total).data
    assert [user.user_id for user in data.users] == ["asha", "ravi"]
    assert data.pagination == user_lists_pb2.UserPagination(
        current_page=2,
        total_pages=4,
        total_users=7,
        has_next=True,
        has_prev=True,
        next_page_token="token",
    )


def test_a_page_that_is_the_last() -> None:
    data = listed(audit.ListAuditEventsResponse, Page[Person]([], 1, 20, None, None)).data
    assert len(data.events) == 0
    assert data.HasField("pagination")
    assert not data.pagination.HasField("next_page_token")


async def test_a_change_says_what_it_has_done() -> None:
    enter_call(Call("/m", "r", None, "peer"))

    async def change(reply: object) -> Person:
        assert reply is None  # the call has no idempotency key
        return ASHA

    response = await changed(user_updates_pb2.UpdateUserStatusResponse, "Updated", change)
    assert response == user_updates_pb2.UpdateUserStatusResponse(
        message="Updated",
        data=user_updates_pb2.UpdateUserStatusData(
            user_id="asha", status="active", updated_at=timestamp(AT)
        ),
    )
    deleted = await changed(user_creation_pb2.DeleteUserResponse, "Deleted", change)
    assert deleted == user_creation_pb2.DeleteUserResponse(message="Deleted")
