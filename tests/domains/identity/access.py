"""Who may make each call of identity; see `tests/contract/access_table.py`."""

from __future__ import annotations

CLOSED = {
    "AuthService": {
        "Register": "write all",
        "Login": "write all",
        "SendOtp": "write all",
        "VerifyOtp": "write all",
        "VerifySecondFactor": "write all",
        "Refresh": "write all",
        "Logout": "write all",
        "Introspect": "read none",
        "ForgotPassword": "write all",
        "ResetPassword": "write all",
        "SendVerification": "write all",
        "VerifyEmail": "write all",
        "StartReauthentication": "write own in-person",
        "Reauthenticate": "write own in-person",
        "ListProviders": "read all",
        "StartExternal": "write all",
        "CompleteExternal": "write all",
    },
    "MeService": {
        "GetMe": "read own",
        "UpdateMe": "write own in-person",
        "ChangePassword": "write own in-person",
        "ChangePhone": "write own recent in-person",
        "ConfirmPhone": "write own in-person",
        "ChangeEmail": "write own recent in-person",
        "ListSessions": "read own",
        "RevokeSession": "write own in-person",
        "RevokeSessions": "write own in-person",
        "StartTotp": "write own recent in-person",
        "ConfirmTotp": "write own recent in-person",
        "RemoveTotp": "write own recent in-person",
        "RenewRecoveryCodes": "write own recent in-person",
        "UnlinkExternal": "write own in-person",
    },
    "UserAdminService": {
        "ListUserSessions": "admin moderator",
        "RevokeUserSessions": "admin moderator",
        "SendPasswordReset": "admin admin",
        "RemoveUserMfa": "admin admin",
        "UnlockUser": "admin admin",
    },
    "KeyService": {
        "GetKeys": "read all",
    },
}
