"""Who may make each call of identity; see `tests/contract/access_table.py`."""

from __future__ import annotations

CLOSED = {
    "AuthService": {
        "Register": "write all",
        "Login": "write all",
        "Refresh": "write all",
        "Logout": "write all",
        "Introspect": "read none",
        "ForgotPassword": "write all",
        "ResetPassword": "write all",
        "SendVerification": "write all",
        "VerifyEmail": "write all",
        "ListProviders": "read all",
        "StartExternal": "write all",
        "CompleteExternal": "write all",
    },
    "MeService": {
        "GetMe": "read own",
        "UpdateMe": "write own in-person",
        "ChangePassword": "write own in-person",
        "ChangeEmail": "write own recent in-person",
        "ListSessions": "read own",
        "RevokeSession": "write own in-person",
        "RevokeSessions": "write own in-person",
        "UnlinkExternal": "write own in-person",
    },
    "KeyService": {
        "GetKeys": "read all",
    },
}
