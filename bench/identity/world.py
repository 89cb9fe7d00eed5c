"""The Finlink that is measured, and those who sign in to it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench import data, stacks
from bench.identity import people
from bench.identity.people import People
from bench.session import Session
from bench.stacks import Stack
from server.core.principals import Role

KEY = "bench-key-of-invented-data"
SETTINGS = {
    "API_KEYS": f"bench:admin:{hashlib.sha256(KEY.encode()).hexdigest()}",
    "ACCESS_TOKEN_EXPIRE_MINUTES": "60",
    "USER_CALLS_PER_HOUR": "0",
    "USER_CHANGES_PER_HOUR": "0",
    "SMS_PER_HOUR": "1000000",
    "BCRYPT_ROUNDS": str(people.ROUNDS),
    "PUBLIC_URL": "http://localhost:3000",  # the same for all: it is in their tokens
}


@dataclass
class World:
    up: Session
    users: int
    stack: Stack
    people: People
    names: Iterator[str]  # of users whom no section has used yet

    @property
    def port(self) -> int:
        return self.stack.rest_port or 0

    @property
    def mongod_pid(self) -> int | None:
        return self.up.supervisor.processes[0].pid

    def sign_in(self, names: Sequence[str], role: Role = Role.USER) -> list[str]:
        """Refresh tokens of new sessions."""
        return people.sign_in(self.up, self.users, self.people, names, role)


def finlink(up: Session, users: int, name: str, **settings: str) -> Stack:
    given = {**SETTINGS, **settings}
    return stacks.finlink(name, up.uri, data.database_name(users), **given)
