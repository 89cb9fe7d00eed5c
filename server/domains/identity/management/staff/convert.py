"""The sessions of other users as the contract's messages."""

from finlink.identity.v1 import user_admin_pb2
from finlink.types.v1 import pagination_pb2

from server.core.pages import Page
from server.domains.identity.management.me.convert import session
from server.domains.identity.sessions.model import LoginSession


def sessions(
    page: Page[LoginSession], current: str | None
) -> user_admin_pb2.ListUserSessionsResponse:
    """`current` is the session of the call."""
    shown = [session(each, current) for each in page.items]
    pagination = pagination_pb2.Pagination(next_page_token=page.next_page_token)
    data = user_admin_pb2.ListUserSessionsData(sessions=shown, pagination=pagination)
    return user_admin_pb2.ListUserSessionsResponse(data=data)
