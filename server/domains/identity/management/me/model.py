"""One's own account."""

from collections.abc import Sequence
from dataclasses import dataclass

from server.core.users import User
from server.domains.identity.sessions.model import LoginSession


@dataclass(frozen=True, slots=True)
class LoginMethods:
    password: bool
    phone: bool = False
    external: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Me:
    user: User
    session: LoginSession | None  # None if a service asks on the user's behalf
    login_methods: LoginMethods
