"""Reads a Kite Connect reply: its `data`, or one of our errors.

Source: Kite Connect documentation (exceptions, response structure); the order of the rules follows
Zerodha's own clients: `error_type` decides, the HTTP status only where there is none.
"""

from server.platforms.base import (
    PermissionRefused,
    PlatformDataError,
    PlatformError,
    PlatformUnavailable,
    SessionEnded,
    Throttled,
)
from server.platforms.document import Faults, Node, parse
from server.platforms.http import Reply

LABEL = "Zerodha"


class RequestRefused(PlatformDataError):
    """A parameter is missing or wrong: at a login the caller's doing, anywhere else ours."""


# A `UserException` asks for something only the user can do at Zerodha, and a new login is where
# Zerodha shows them the reason.
_NEEDS_LOGIN = frozenset({"TokenException", "UserException", "TwoFAException"})
# Zerodha's Python client knows the first name, its Go client the second.
_NOT_ALLOWED = frozenset({"PermissionException", "PermissionError"})
# Zerodha could not reach its own back end, or did not understand it.
_BACK_END = frozenset({"NetworkException", "DataException"})
# On a read these say that the request was wrong, unless the status blames the server.
_BAD_REQUEST = frozenset(
    {"InputException", "OrderException", "MarginException", "HoldingException"}
)


def read_reply(reply: Reply, place: str, faults: Faults | None = None) -> Node:
    """The `data` of a reply. `place` names the call in errors; `faults` as for any document.

    Raises SessionEnded, PermissionRefused, PlatformUnavailable or PlatformDataError. Messages
    quote `error_type` only where it is a name we know, and never Zerodha's own text.
    """
    try:
        document = parse(reply.body, place, faults)
        members = document.as_object()
    except PlatformDataError:
        reply.raise_for_unavailable(LABEL)
        raise PlatformDataError(
            f"{place}: expected a JSON object, got something else with status {reply.status}"
        ) from None
    if members.get("status") == "error" or "error_type" in members:
        raise _refusal(reply, members, place)
    reply.raise_for_unavailable(LABEL)
    if not 200 <= reply.status < 300:
        raise PlatformDataError(f"{place}: Zerodha returned {reply.status}")
    return document.get("data")


def looks_like_data(reply: Reply) -> bool:
    """Whether `read_reply` needs not be asked at once: whatever goes wrong has `error` in it."""
    return reply.status == 200 and b"error" not in reply.body


def _refusal(reply: Reply, members: dict[str, object], place: str) -> PlatformError:
    kind = members.get("error_type")
    if kind in _NEEDS_LOGIN or (kind == "InputException" and _blames_keys(reply, members)):
        return SessionEnded("Zerodha does not accept the session and wants a new login")
    if kind in _NOT_ALLOWED:
        return PermissionRefused(f"Zerodha does not allow {place}")
    if reply.status == 429:
        return Throttled("Zerodha asks for fewer requests", reply.retry_after)
    if kind in _BAD_REQUEST and reply.status < 500:
        return RequestRefused(f"{place}: Zerodha refuses the request ({kind})")
    if kind not in _BACK_END and 400 <= reply.status < 500:
        return PlatformDataError(f"{place}: Zerodha returned {reply.status}")
    # Also GeneralException with a 5xx, and whatever name comes next.
    return PlatformUnavailable(f"Zerodha returned {reply.status} with an error", reply.retry_after)


def _blames_keys(reply: Reply, members: dict[str, object]) -> bool:
    """Missing or malformed credentials come as a 400 whose text names both of them."""
    text = str(members.get("message"))
    return reply.status == 400 and "api_key" in text and "access_token" in text
