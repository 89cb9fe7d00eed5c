"""The names that a user can type at a login."""

from server.core.users import User
from server.domains.identity.credentials.accounts.model import Account
from server.domains.identity.credentials.lockout.model import Name


def names_of(user: User, account: Account | None) -> list[Name]:
    names = [Name("username", user.user_id)]
    if user.email is not None:
        names.append(Name("email", user.email))
    if account is not None and account.phone is not None:
        names.append(Name("phone", account.phone.number))
    return names
