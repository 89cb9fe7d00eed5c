"""The exceptions of calls. Whatever goes wrong with one, it is a FinlinkError.

FinlinkError          a code of finlink.errors.v1.ErrorReason, a message, fields, metadata
├── NotFound          what the request names does not exist
├── Conflict          the request does not fit how things stand
├── LimitExceeded     too much at once
├── Unavailable       UNAVAILABLE, or nothing listens at  the address: try later
├── AccessDenied      refused, by Finlink or on the way to it
├── Cancelled         the call was cancelled: the client was closed, for one
└── …                 an exception for each reason of the contract, see gen/reasons.py
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from grpc import StatusCode


@dataclass(frozen=True, slots=True)
class FieldError:
    """An error of one field; `field` is its JSON path, such as `preferences.currency`."""

    field: str
    message: str


class FinlinkError(Exception):
    """A call failed. Neither `str` nor `repr` shows the request or the metadata."""

    def __init__(
        self,
        code: str,
        message: str,
        fields: Sequence[FieldError] = (),
        metadata: Mapping[str, str] | None = None,
        retry_after: timedelta | None = None,
        grpc_code: StatusCode = StatusCode.UNKNOWN,
        request_id: str | None = None,
    ) -> None:
        """`code` is the ErrorReason, or gRPC's status if no Finlink server replied."""
        super().__init__(message)
        self.code = code
        self.message = message
        self.fields = tuple(fields)
        self.metadata = dict(metadata or {})
        self.retry_after = retry_after
        self.grpc_code = grpc_code
        self.request_id = request_id

    @property
    def login_url(self) -> str | None:
        """Where the user must log in, if there is a page; of ReauthRequired."""
        return self.metadata.get("loginUrl")

    def __str__(self) -> str:
        text = f"{self.code}: {self.message}"
        if self.fields:
            text += " (" + "; ".join(f"{each.field}: {each.message}" for each in self.fields) + ")"
        return text

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self}>"

    def __reduce__(self) -> tuple[Any, ...]:
        arguments = (
            self.code, self.message, self.fields, self.metadata, self.retry_after, self.grpc_code,
            self.request_id,
        )  # fmt: skip
        return type(self), arguments


class NotFound(FinlinkError):
    """The request names something that does not exist."""


class Conflict(FinlinkError):
    """The request does not fit how things stand."""


class LimitExceeded(FinlinkError):
    """Too much at once."""


class Unavailable(FinlinkError):
    """Finlink cannot be reached, or cannot reach its database. Safe to try later."""


class AccessDenied(FinlinkError):
    """Finlink, or something on the way to it, refuses the caller."""


class Cancelled(FinlinkError):
    """The caller cancelled the call; a write may have been applied."""
