"""Changes of a user by somebody else, or of all at once."""

from dataclasses import dataclass, field

from server.core.model import Changes


@dataclass(frozen=True, slots=True)
class UserChange:
    """The fields that a call sends. None of `email`, `status` and `role` is one that is not sent."""

    changes: Changes = field(default_factory=dict)  # of profile, preferences and metadata
    email: str | None = None  # lower case
    status: str | None = None
    role: str | None = None
    needs_email: bool = False  # it says all of a user, who must not lose the address by that


def is_metadata(path: str) -> bool:
    """Whether a change is one of metadata, which users cannot change themselves."""
    return path.partition(".")[0] == "metadata"
