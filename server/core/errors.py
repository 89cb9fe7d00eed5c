"""The base of every error that a caller sees. Transport-neutral; `rpc/status.py` translates it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta


@dataclass(frozen=True, slots=True)
class FieldError:
    """An error of one field; `field` is its JSON path, such as `preferences.currency`."""

    field: str
    message: str


class ApiError(Exception):
    """An error with a code of the contract. Its texts are shown to callers: they hold no secret."""

    code: str = "INTERNAL"
    default_message: str = "Internal server error"

    def __init__(
        self,
        message: str | None = None,
        *,
        fields: Sequence[FieldError] = (),
        metadata: Mapping[str, str] | None = None,
        retry_after: timedelta | None = None,
    ) -> None:
        super().__init__(message or self.default_message)
        self.message = message or self.default_message
        self.fields = tuple(fields)
        self.metadata = dict(metadata or {})
        self.retry_after = retry_after
        self.at = datetime.now(UTC)


class InvalidRequest(ApiError):
    """The request breaks a rule; `fields` names every wrong field."""

    code = "VALIDATION_ERROR"
    default_message = "Validation failed"

    @classmethod
    def of(cls, field: str, message: str) -> InvalidRequest:
        return cls(fields=[FieldError(field, message)])


class PayloadTooLarge(ApiError):
    """Over REST Envoy refuses a body that is too large; this is for gRPC."""

    code = "PAYLOAD_TOO_LARGE"
    default_message = "The request is larger than 64 KiB"


class Unauthenticated(ApiError):
    """There is no credential, or one that never held."""

    code = "UNAUTHENTICATED"
    default_message = "This call needs an API key, or a user who has signed in"


class TokenExpired(ApiError):
    """The access token is past its time, or older than a change of the user's role."""

    code = "TOKEN_EXPIRED"
    default_message = "The access token has expired: refresh it, then repeat the call"


class SessionEnded(ApiError):
    """The session was ended, has expired, or its user is gone."""

    code = "SESSION_ENDED"
    default_message = "The session has ended: sign in again"


class RecentLoginRequired(ApiError):
    """`metadata.maxAge` is for how many seconds a login counts as recent."""

    code = "RECENT_LOGIN_REQUIRED"
    default_message = "The last login is too long ago: reauthenticate, then repeat the call"


class PermissionDenied(ApiError):
    code = "PERMISSION_DENIED"
    default_message = "The caller may not make this call"


class CsrfRefused(ApiError):
    """A call with a cookie that changes something, and does not come from a page of Finlink's own."""

    code = "CSRF_REFUSED"
    default_message = "A call with a cookie must come from this site, or carry X-Requested-With"


class RateLimited(ApiError):
    """The caller has made too many calls of this kind; `retry_after` says when the next one may pass."""

    code = "RATE_LIMITED"
    default_message = "Too many requests"


class Unavailable(ApiError):
    """The database cannot be reached now."""

    code = "UNAVAILABLE"
    default_message = "The service is temporarily unavailable; try again shortly"


class DeadlineExceeded(ApiError):
    code = "DEADLINE_EXCEEDED"
    default_message = "The request took too long"


class ResumeTokenExpired(ApiError):
    """The changes after the token's position in a watch are no longer kept."""

    code = "RESUME_TOKEN_EXPIRED"
    default_message = "The resume token is too old; list again, then watch without it"
