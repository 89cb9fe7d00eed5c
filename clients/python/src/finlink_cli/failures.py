"""Failures as exit codes, and as messages that say what to do next."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from finlink_cli.unreachable import is_http, why

if TYPE_CHECKING:
    from finlink_client import FinlinkError

    from finlink_cli.settings import Settings


class Exit(IntEnum):
    """The meaning of exit codes; docs/cli.md has the table."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    CONFLICT = 4
    DENIED = 5
    LOGIN_NEEDED = 6
    UNAVAILABLE = 7
    INTERRUPTED = 130  # as of a program that SIGINT ended
    PIPE_CLOSED = 141  # the same of SIGPIPE


class Failure(Exception):
    """A command did not do what was asked for."""

    def __init__(
        self,
        code: str,
        message: str,
        exit_code: Exit,
        *,
        hint: str = "",
        fields: Sequence[tuple[str, str]] = (),
        options: Mapping[str, str] | None = None,
    ) -> None:
        """`code` is for programs, the message and the hint, what to do next, for people.

        `options` are the names that fields have on the command line.
        """
        super().__init__(message)
        self.code = code
        self.message = message
        self.exit_code = exit_code
        self.hint = hint
        self.fields = tuple(fields)
        self.options = options or {}

    def as_json(self) -> dict[str, Any]:
        """In the shape of Finlink's errors over REST, with the hint beside."""
        details = [{"field": field, "message": message} for field, message in self.fields]
        error = {"code": self.code, "message": self.message, "details": details, "hint": self.hint}
        return {"error": error}

    def __str__(self) -> str:
        """For people: one line where no field is to blame."""
        message = self.message.rstrip(".")
        if not self.fields:
            end = "" if message.endswith("?") else "."
            return f"finlink: {self._in_options(message)}{end} {self.hint}".rstrip()
        named = ((self._option(field), self._in_options(rule)) for field, rule in self.fields)
        lines = [f"finlink: {message}:", *(f"  {name}: {rule}" for name, rule in named)]
        return "\n".join([*lines, self.hint] if self.hint else lines)

    def _option(self, field: str) -> str:
        """A field's name on the command line, also of an item in it: `permissions[0]`."""
        whole = re.sub(r"\[[^]]*\]", "", field)
        return self.options.get(field) or self.options.get(whole, field)

    def _in_options(self, text: str) -> str:
        """The text with fields that it names as in JSON, `pageToken`, named as options."""
        return re.sub(
            r"`([A-Za-z.]+)`|\b[a-z]+[A-Z][A-Za-z]*\b",
            lambda word: self.options.get(word[1] or word[0], word[0]),
            text,
        )


def wrong_usage(message: str, hint: str = "") -> Failure:
    """The command line, the environment or the configuration file is wrong."""
    return Failure("USAGE", message, Exit.USAGE, hint=hint)


# In hints, where the command line does not say.
UNKNOWN = {"user": "USER", "platform": "PLATFORM", "connector": "CONNECTOR"}
_LATER = "Try again later."
_LOGIN = "Log in with 'finlink connectors connect {user} {platform}'."

# By gRPC's status. Every other one is a fault.
_BY_STATUS: Mapping[str, Exit] = {
    "INVALID_ARGUMENT": Exit.USAGE,
    "OUT_OF_RANGE": Exit.USAGE,
    "NOT_FOUND": Exit.NOT_FOUND,
    "ALREADY_EXISTS": Exit.CONFLICT,
    "FAILED_PRECONDITION": Exit.CONFLICT,
    "ABORTED": Exit.CONFLICT,
    "UNAUTHENTICATED": Exit.DENIED,
    "PERMISSION_DENIED": Exit.DENIED,
    "RESOURCE_EXHAUSTED": Exit.UNAVAILABLE,
    "UNAVAILABLE": Exit.UNAVAILABLE,
    "DEADLINE_EXCEEDED": Exit.UNAVAILABLE,
}
# Reasons for which something else is to be done than their status says.
BY_REASON: Mapping[str, Exit] = {
    "INVALID_CREDENTIALS": Exit.LOGIN_NEEDED,
    "NOT_CONNECTED": Exit.LOGIN_NEEDED,
    "REAUTH_REQUIRED": Exit.LOGIN_NEEDED,
    "LOGIN_FAILED": Exit.LOGIN_NEEDED,
    "SESSION_ENDED": Exit.LOGIN_NEEDED,
    "PAYLOAD_TOO_LARGE": Exit.USAGE,
}
LOGIN_NEEDED = {"NOT_CONNECTED", "REAUTH_REQUIRED"}
HINTS: Mapping[str, str] = {
    "USER_NOT_FOUND": "'finlink users list' shows who there is.",
    "CONNECTOR_NOT_FOUND": "'finlink connectors list' shows those there are.",
    "CONNECTION_NOT_FOUND": _LOGIN,
    "SYNC_NOT_FOUND": "'finlink sync status {connector}' shows the newest runs.",
    "ROUTE_NOT_FOUND": "Finlink there may be older than this command line.",
    "ALREADY_CONNECTED": "'finlink connectors refresh' extends the session, "
    "'finlink connectors disconnect' ends it.",
    "RESUME_TOKEN_EXPIRED": "List, then watch again without --from.",
    "UNAUTHENTICATED": "Sign in with 'finlink login', or put an API key that is valid into FINLINK_API_KEY "
    "or the configuration file.",
    "PERMISSION_DENIED": "The scope of the API key, or the role of who is signed in, is too small; the audit "
    "trail, 'sync failures' and exports need 'admin'.",
    "LOGIN_FAILED": "Check the name and the password.",
    "SESSION_ENDED": "Sign in with 'finlink login'.",
    "TOKEN_EXPIRED": "Get the next access token, or sign in with 'finlink login', which renews it by itself.",
    "INVALID_CREDENTIALS": "Check them, then connect again.",
    "NOT_CONNECTED": _LOGIN,
    "REAUTH_REQUIRED": _LOGIN,
    "RATE_LIMITED": _LATER,
    "PLATFORM_UNAVAILABLE": _LATER,
    "UNAVAILABLE": _LATER,
    "DEADLINE_EXCEEDED": "A change may have been applied all the same: look before you try again.",
}


def exit_of(reason: str, status: str) -> Exit:
    """The exit code and the message of a call that failed."""
    return BY_REASON.get(reason, _BY_STATUS.get(status, Exit.FAILED))


def of_call(
    error: FinlinkError, settings: Settings, options: Mapping[str, str], names: Mapping[str, str]
) -> Failure:
    """Why a call to Finlink failed.

    `options` names fields as the command line does; `names` are the user, platform and connector in hints.
    """
    exit_code = exit_of(error.code, error.grpc_code.name)
    hint = HINTS.get(error.code, "").format(**{**UNKNOWN, **names})
    fields = [(each.field, each.message) for each in error.fields]
    in_http = error.code == error.grpc_code.name and is_http(error.message)
    if in_http or (error.code == "UNAVAILABLE" and error.request_id is None):
        message, hint = why(error.message, settings.address, encrypted=settings.encrypted)
        return Failure("UNAVAILABLE", message, Exit.UNAVAILABLE, hint=hint)
    if error.retry_after is not None:
        hint = f"Try again in {error.retry_after.total_seconds():.0f} seconds."
    if error.code == "INTERNAL" and error.request_id is not None:
        hint = f"Finlink's log has the cause under the request id {error.request_id}."
    if (page := error.metadata.get("loginUrl")) is not None:
        connector = names.get("connector", UNKNOWN["connector"])
        hint = f"Log in at {page} and then run 'finlink connectors refresh {connector}'."
    return Failure(
        error.code,
        error.message or error.code,
        exit_code,
        hint=hint,
        fields=fields,
        options=options,
    )


# Codes of syncs, apart from those of calls, and what helps.
_SYNC_ADVICE: Mapping[str, str] = {
    "REAUTH_REQUIRED": "the platform wants a new login: finlink connectors connect {user} {platform}",
    "PLATFORM_UNAVAILABLE": "nothing to do here: the platform is tried again by itself",
    "PLATFORM_THROTTLED": "nothing to do here: the platform wants fewer calls and is tried again",
    "PLATFORM_DATA_ERROR": "the platform sends what Finlink cannot read: report it to its developers",
    "PERMISSION_REFUSED": "the platform refuses a data type; sync others: "
    "finlink sync settings {connector} --data-type …",
    "RUN_ABANDONED": "the worker stopped; another run follows: finlink sync status {connector}",
    "RUN_CANCELLED": "it was cancelled; to sync now: finlink sync start {connector}",
}


def sync_advice(code: str, names: Mapping[str, str]) -> str:
    """The advice for a sync that failed with `code`; `names` as of `of_call`."""
    advice = _SYNC_ADVICE.get(code, "Finlink's log has the cause under the connector {connector}")
    return advice.format(**{**UNKNOWN, **names})
