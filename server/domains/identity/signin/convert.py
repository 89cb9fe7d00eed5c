"""Signing in between the contract's messages and the domain."""

from collections.abc import Mapping
from typing import TypeVar

from finlink.identity.v1 import (
    factors_pb2,
    login_pb2,
    phone_pb2,
    reauthentication_pb2,
    recovery_pb2,
    registration_pb2,
    session_pb2,
)
from google.protobuf.message import Message

from server.core.errors import FieldError, InvalidRequest
from server.core.users import NewUser, Profile
from server.domains.identity.credentials.challenges.model import Method
from server.domains.identity.credentials.factors.model import Channel, Shown, Solution
from server.domains.identity.credentials.phones import numbers
from server.domains.identity.credentials.phones.model import OtpLogin
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
_SOLUTIONS: dict[str, Method] = {
    "totp": "totp",
    "recovery_code": "recovery_code",
    "date_of_birth": "date_of_birth",
}
_SHOWN = {
    "password": "password",
    "totp": "totp",
    "challenge_id": "challengeId",
    "code": "code",
}
T = TypeVar("T")


def caller(call: Call, cookie: str | None = None) -> Caller:
    """`cookie` is that of the session that the browser has."""
    agent = call.metadata.get(USER_AGENT, "")[:MAX_TEXT] or None
    return Caller(call.peer[:MAX_TEXT], agent, cookie)


def login(
    request: login_pb2.LoginRequest, call: Call, caller: Caller, device_cookie: str | None
) -> Login:
    """Raises InvalidRequest unless exactly one name is sent. The cookie is a browser's device token."""
    kind, name = _one_of(request, _NAMES)
    return Login(
        kind,
        _normalized(kind, name),
        request.password,
        session_kind(request.session, "token", call),
        caller,
        request.device_token or device_cookie,
        request.device_name or None,
    )


def solution(request: factors_pb2.VerifySecondFactorRequest) -> Solution:
    """Raises InvalidRequest unless exactly one solution is sent."""
    return Solution(*_one_of(request, _SOLUTIONS))


def shown(request: reauthentication_pb2.ReauthenticateRequest) -> Shown:
    """Raises InvalidRequest unless one thing is shown."""
    sent = {name for name in _SHOWN if request.HasField(name)}  # type: ignore[arg-type]
    if sent == {"challenge_id", "code"}:
        return Shown("code", request.code, request.challenge_id)
    if sent == {"password"}:
        return Shown("password", request.password)
    if sent == {"totp"}:
        return Shown("totp", request.totp)
    message = "send exactly one of password, totp, and challengeId with code"
    names = [json_name for name, json_name in _SHOWN.items() if name in (sent or _SHOWN)]
    raise InvalidRequest(fields=[FieldError(name, message) for name in names])


def channel(request: reauthentication_pb2.StartReauthenticationRequest) -> Channel | None:
    if not request.HasField("channel"):
        return None
    return "phone" if request.channel == "phone" else "email"


def _normalized(kind: Named, name: str) -> str:
    """A name as users are looked up by it."""
    if kind == "phone":
        return numbers.as_name(name)
    return name.lower() if kind == "email" else name


def otp_login(request: phone_pb2.VerifyOtpRequest, call: Call, caller: Caller) -> OtpLogin:
    """Raises InvalidRequest for a cookie over gRPC."""
    default: Kind = "cookie" if call.is_rest else "token"
    return OtpLogin(
        request.challenge_id,
        request.code,
        session_kind(request.session, default, call),
        caller,
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


def _one_of(request: Message, kinds: Mapping[str, T]) -> tuple[T, str]:
    """The one field that is sent of several: its kind and its value."""
    sent = [name for name in kinds if request.HasField(name)]
    if len(sent) == 1:
        return kinds[sent[0]], getattr(request, sent[0])
    names = {name: request.DESCRIPTOR.fields_by_name[name].json_name for name in kinds}
    *others, last = names.values()
    message = f"send exactly one of {', '.join(others)} and {last}"
    raise InvalidRequest(fields=[FieldError(names[name], message) for name in sent or names])
