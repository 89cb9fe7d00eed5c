"""Who may call an operation: in words, and as OpenAPI has it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from server.core.authorization import Access, Reach

SCHEMES = {
    "apiKey": {
        "type": "apiKey",
        "in": "header",
        "name": "x-api-key",
        "description": "Made by `python -m server keys create NAME --scope SCOPE`, with the scope `read`, "
        "`write` (reads too) or `admin` (all). Where there is no key, anybody may make the calls that say "
        "so.",
    },
    "accessToken": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "The access token of a user who has signed in.",
    },
}


def described(access: Access) -> str:
    """Sentences for the description of an operation."""
    if access.reach is Reach.PUBLIC:
        return "Anybody may call it."
    key = f"Needs an API key of the scope `{access.scope.name.lower()}`"
    if access.reach is Reach.NONE:
        return f"{key}."
    if access.is_own:
        return f"Needs a user who has signed in{_recently(access)}."
    role = access.role.name.lower() if access.role else None
    if access.reach is Reach.ROLE:
        return f"{key}, or a user of the role `{role}`{_recently(access)}."
    others = f", or from the role `{role}` on for anybody's" if role else ""
    return f"{key}, or a user{_recently(access)} for the user's own data{others}."


def _recently(access: Access) -> str:
    if access.recent_login is None:
        return ""
    minutes = access.recent_login // timedelta(minutes=1)
    return f" who has signed in within {minutes} minutes"


def security(access: Access) -> list[dict[str, Any]]:
    """The alternatives of an operation; an empty one where no credential is needed."""
    key = {"apiKey": [access.scope.name.lower()]}
    if access.reach is Reach.PUBLIC:
        return [{}]
    if access.is_own:
        return [{"accessToken": []}]
    found: list[dict[str, Any]] = [key]
    if access.reach is not Reach.NONE:
        found.append({"accessToken": []})
    if access.open_without_keys:
        found.append({})
    return found
