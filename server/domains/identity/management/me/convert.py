"""One's own account between the contract's messages and the domain."""

from finlink.exports.v1 import export_service_pb2
from finlink.identity.v1 import me_pb2, session_pb2
from finlink.types.v1 import pagination_pb2

from server.core.errors import FieldError, PermissionDenied
from server.core.model import Changes, Model
from server.core.pages import Page
from server.core.users import Preferences, Profile
from server.domains.identity.management.me.model import LoginMethods, Me
from server.domains.identity.sessions.model import LoginSession
from server.rpc.fields import to_all_changes, to_message

_STAFF_ONLY = ("role", "status", "email_verified", "metadata")


class _Sections(Model, frozen=True):
    preferences: Preferences = Preferences()


def changes(request: me_pb2.UpdateMeRequest) -> Changes:
    """Raises PermissionDenied naming what only staff change, InvalidRequest if nothing is sent."""
    named = request.DESCRIPTOR.fields_by_name
    removed = {path.partition(".")[0] for path in request.update_mask.paths}
    refused = [
        named[name].json_name
        for name in _STAFF_ONLY
        if name in removed or request.HasField(name)  # type: ignore[arg-type]
    ]
    if refused:
        raise PermissionDenied(
            "Only staff may change this",
            fields=[FieldError(name, "may be changed by staff only") for name in refused],
        )
    return to_all_changes(request, (Profile, "profile"), (_Sections, ""))


def me(value: Me) -> me_pb2.MeData:
    return to_message(
        me_pb2.MeData,
        value.user,
        session=session(value.session, value.session.id) if value.session else None,
        login_methods=to_message(me_pb2.LoginMethods, value.login_methods),
    )


def session(value: LoginSession, current: str | None) -> session_pb2.UserSession:
    """`current` is the session of the call."""
    return to_message(
        session_pb2.UserSession, value, session_id=value.id, current=value.id == current
    )


def exported_login_methods(value: LoginMethods) -> export_service_pb2.ExportUserResponse:
    return export_service_pb2.ExportUserResponse(
        login_methods=to_message(me_pb2.LoginMethods, value)
    )


def exported_session(
    value: LoginSession, current: str | None
) -> export_service_pb2.ExportUserResponse:
    return export_service_pb2.ExportUserResponse(session=session(value, current))


def sessions(page: Page[LoginSession], current: str | None) -> me_pb2.ListSessionsResponse:
    pagination = pagination_pb2.Pagination(next_page_token=page.next_page_token)
    data = me_pb2.ListSessionsData(
        sessions=[session(each, current) for each in page.items], pagination=pagination
    )
    return me_pb2.ListSessionsResponse(data=data)
