"""Signing in between the contract's messages and the domain."""

from finlink.identity.v1 import login_pb2, recovery_pb2, registration_pb2, session_pb2

from server.core.errors import FieldError, InvalidRequest
from server.core.users import NewUser, Profile
from server.domains.identity.sessions.model import Caller, Kind
from server.domains.identity.signin.model import Challenged, Login, Named, Opened
from server.domains.identity.signin.registration import named
from server.rpc.call import MAX_TEXT, USER_AGENT, Call
from server.rpc.fields import to_message, to_model

_NAMES: dict[str, Named] = {
    "email": "email",
    "username": "username",
    "phone_number": "phone",
}


def caller(call: Call) -> Caller:
    return Caller(call.peer[:MAX_TEXT], call.metadata.get(USER_AGENT, "")[:MAX_TEXT] or None)


def login(request: login_pb2.LoginRequest, call: Call, device_cookie: str | None) -> Login:
    """Raises InvalidRequest unless exactly one name is sent. The cookie is a browser's device token."""
    sent = [name for name in _NAMES if request.HasField(name)]  # type: ignore[arg-type]
    if len(sent) != 1:
        message = "send exactly one of email, username and phoneNumber"
        fields = sent or list(_NAMES)
        json_names = [request.DESCRIPTOR.fields_by_name[name].json_name for name in fields]
        raise InvalidRequest(fields=[FieldError(name, message) for name in json_names])
    name = getattr(request, sent[0])
    return Login(
        _NAMES[sent[0]],
        name.lower() if sent[0] == "email" else name,
        request.password,
        session_kind(request.session, "token", call),
        caller(call),
        request.device_token or device_cookie,
        request.device_name or None,
    )


def session_kind(asked: str, default: Kind, call: Call) -> Kind:
    """Raises InvalidRequest for a cookie over gRPC."""
    kind: Kind = "cookie" if (asked or default) == "cookie" else "token"
    if kind == "cookie" and not call.is_rest:
        raise InvalidRequest.of("session", "must be token: a cookie is given over REST only")
    return kind


def new_user(request: registration_pb2.RegisterRequest) -> NewUser:
    profile = to_model(Profile, request)
    user_id = request.user_id if request.HasField("user_id") else ""
    return named(
        to_model(NewUser, request, user_id=user_id, email=request.email.lower(), profile=profile)
    )


def asks_for_mail(request: recovery_pb2.ResetPasswordRequest) -> bool:
    """Whether a mail is asked for, or the password set. Raises InvalidRequest for neither or both."""
    sent = {name: request.HasField(name) for name in ("token", "password", "email")}
    if sent == {"token": False, "password": False, "email": True}:
        return True
    if sent == {"token": True, "password": True, "email": False}:
        return False
    message = "send token and password, or email alone"
    raise InvalidRequest(fields=[FieldError(name, message) for name in sent])


def session_data(result: Opened | Challenged) -> session_pb2.SessionData:
    if isinstance(result, Opened):
        return to_message(session_pb2.SessionData, result)
    challenge = to_message(session_pb2.LoginChallenge, result)
    return session_pb2.SessionData(challenge=challenge)
