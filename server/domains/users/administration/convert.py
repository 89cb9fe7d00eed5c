"""Changes of whole users between the contract's messages and the domain."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, TypeAlias

from finlink.users.v1 import user_changes_pb2 as rpc

from server.core.errors import InvalidRequest
from server.core.model import Changes, Model
from server.core.users import Metadata, Preferences, Profile
from server.domains.users.administration.model import UserChange, is_metadata
from server.rpc.fields import to_all_changes, to_replacement

Request: TypeAlias = rpc.UpdateUserRequest | rpc.ReplaceUserRequest
_OTHERS: Sequence[Literal["email", "status", "role"]] = ("email", "status", "role")


class _Sections(Model, frozen=True):
    preferences: Preferences = Preferences()
    metadata: Metadata = Metadata()


def update(request: rpc.UpdateUserRequest) -> UserChange:
    """Raises InvalidRequest if nothing is sent, and if something is to be removed that must be there."""
    for name in request.update_mask.paths:
        if name in _OTHERS and not request.HasField(name):  # type: ignore[arg-type]
            raise InvalidRequest.of("updateMask", f"names {name}, which must be sent")
    needed = not any(request.HasField(name) for name in _OTHERS)
    changes = to_all_changes(request, (Profile, "profile"), (_Sections, ""), needed=needed)
    return _change(request, changes)


def replacement(request: rpc.ReplaceUserRequest, *, may_metadata: bool) -> UserChange:
    """Fields that are not sent are removed or have defaults; not metadata that the caller may not change."""
    changes = to_replacement(request, (Profile, "profile"), (_Sections, ""))
    if not may_metadata and not request.HasField("metadata"):
        changes = {path: value for path, value in changes.items() if not is_metadata(path)}
    return replace(_change(request, changes), needs_email=True)


def _change(request: Request, changes: Changes) -> UserChange:
    return UserChange(
        changes,
        request.email.lower() if request.HasField("email") else None,
        request.status if request.HasField("status") else None,
        request.role if request.HasField("role") else None,
    )
