"""The errors of identity."""

from server.core.errors import ApiError


class LoginFailed(ApiError):
    """One message for all that can be wrong: nobody learns which names there are."""

    code = "LOGIN_FAILED"
    default_message = "The credentials are wrong, or no longer valid"


class AccountLocked(ApiError):
    """Whether or not anybody has the name."""

    code = "ACCOUNT_LOCKED"
    default_message = "Too many logins have failed for this name; try again later"


class EmailNotVerified(ApiError):
    """Only after the right password."""

    code = "EMAIL_NOT_VERIFIED"
    default_message = "Open the mail that was sent to verify the address, then sign in"


class UserNotActive(ApiError):
    """Only after the right password."""

    code = "USER_NOT_ACTIVE"
    default_message = "The user is not active"


class ExternalLoginFailed(ApiError):
    """One message for all that can be wrong with what a provider says; the log has the cause."""

    code = "EXTERNAL_LOGIN_FAILED"
    default_message = "The login at the provider does not hold: begin it again"


class ProviderNotFound(ApiError):
    code = "PROVIDER_NOT_FOUND"
    default_message = "Provider not found"


class LastCredential(ApiError):
    """Without it the user could not sign in any more."""

    code = "LAST_CREDENTIAL"
    default_message = "Nothing else signs the user in: set a password first"


class CodeInvalid(ApiError):
    """One message for all that can be wrong with it."""

    code = "CODE_INVALID"
    default_message = "The token or code is wrong, used or expired"


class SessionNotFound(ApiError):
    code = "SESSION_NOT_FOUND"
    default_message = "Session not found"


class TotpActive(ApiError):
    code = "TOTP_ACTIVE"
    default_message = "There is a second factor already: remove it first"


class TotpNotActive(ApiError):
    code = "TOTP_NOT_ACTIVE"
    default_message = "There is no second factor"
