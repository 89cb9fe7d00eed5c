"""Who may make each call of users; see `tests/contract/access_table.py`."""

from __future__ import annotations

# The calls of the first release.
OPEN = {
    "UserService": {
        "CreateUser": "write admin",
        "GetUser": "read self moderator",
        "BatchGetUsers": "read moderator",
        "ListUsers": "read moderator",
        "UpdateUserProfile": "write self admin",
        "UpdateUserPreferences": "write self admin",
        "UpdateUserStatus": "write moderator",
        "UpdateUserMetadata": "write admin",
        "UpdateUserEmailVerified": "admin admin",
        "DeleteUser": "write self admin recent",
    },
}
CLOSED = {
    "UserService": {
        "UpdateUser": "write self moderator",
        "ReplaceUser": "write self admin",
        "SetUserRole": "admin admin",
        "RestoreUser": "admin admin",
    },
}
