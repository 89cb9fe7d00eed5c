"""A plain model of the contract: users, connectors, runs, and what the platforms would answer.

It knows nothing of how Finlink works. Each method changes the model as the contract says a call
changes things, and gives the code of the error that the caller is told, or None.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

HISTORY, ERRORS = 50, 20
ALL = ("transactions", "portfolio", "profile", "trades")
GRANTS = {"fi_money": ALL, "zerodha": ALL[1:]}
LIVE = ("connected", "error")
REUSE_SECONDS = 10.0
# The calls that bring a data type, in the order they are made.
CALLS = {
    "fi_money": {
        "transactions": ("fetch_bank_transactions",),
        "portfolio": ("fetch_net_worth", "fetch_epf_details"),
        "profile": ("fetch_credit_report", "fetch_bank_transactions"),
        "trades": ("fetch_stock_transactions", "fetch_mf_transactions"),
    },
    "zerodha": {
        "portfolio": (
            "/portfolio/holdings", "/portfolio/positions", "/mf/holdings", "/user/margins",
        ),
        "profile": ("/user/profile",),
        "trades": ("/trades", "/mf/orders"),
    },
}  # fmt: skip
# The call that tells whether a session is still accepted.
CHECK = {"fi_money": "fetch_epf_details", "zerodha": "/user/profile"}
CODES = {
    "not_json": "PLATFORM_DATA_ERROR",
    "unavailable": "PLATFORM_UNAVAILABLE",
    "throttled": "PLATFORM_THROTTLED",
}


@dataclass
class Account:
    """A login at a platform, as the platform sees it."""

    platform: str
    login: str
    approved: bool = False  # its app gets refresh tokens
    alive: bool = False  # the session that Finlink holds is accepted
    renewable: bool = False  # and so is its refresh token
    pending_done: bool = False  # the user did log in at the page
    password_refused: bool = False
    login_down: bool = False  # its login fails
    fault: str | None = None
    faulty: Sequence[str] = ()  # the calls that meet the fault
    sold: Sequence[str] = ()

    def code_of(self, call: str) -> str | None:
        return CODES.get(self.fault or "") if call in self.faulty else None

    def login_code(self, *, how: str) -> str | None:
        """What a login meets with a `good` or `wrong` password, or with the `token` of one at the page."""
        wrong = how == "wrong"
        refused = self.password_refused and how != "token"
        # Kite's page refuses a password before its API is asked; Fi has one call for both.
        if refused or (wrong and self.platform == "zerodha"):
            return "INVALID_CREDENTIALS"
        if self.login_down:
            return "PLATFORM_UNAVAILABLE"
        return "INVALID_CREDENTIALS" if wrong else None

    def open(self) -> None:
        self.alive, self.renewable, self.pending_done = True, self.approved, False

    def shut(self) -> None:
        self.alive = self.renewable = self.pending_done = False


@dataclass
class Run:
    types: Sequence[str]
    sync_id: str | None = None  # None until it is told
    hold: str | None = None  # its last call waits at the platform
    hold_ends: bool = False
    reported: Sequence[str] = ()  # whose counts are known already
    deferred: bool = False
    done: list[str] = field(default_factory=list)


@dataclass
class Entry:
    """A finished run; None is what only the connector can tell."""

    status: str
    code: str | None
    sync_id: str | None
    types: Sequence[str] = ()  # those fetched


@dataclass(frozen=True)
class Outcome:
    """How a run ends: what went wrong, if anything did, and what was fetched."""

    code: str | None
    done: list[str]
    renewed: bool

    @property
    def over(self) -> bool:
        return self.code != "PLATFORM_THROTTLED"

    @property
    def status(self) -> str:
        if self.code is None:
            return "success"
        return "partial" if self.done else "failed"


@dataclass
class Connector:
    user: User
    account: Account
    id: str | None = None
    status: str = "disconnected"
    pending: bool = False
    login_url: str | None = None
    session_id: str | None = None  # None while there is none, or it is yet to be told
    by_page: bool = False  # logged in without a user name
    permissions: Sequence[str] = ()
    types: Sequence[str] = ()
    interval: int = 5
    auto: bool = True
    run: Run | None = None
    total: int = 0
    successful: int = 0
    failed: int = 0
    in_a_row: int = 0
    synced: bool = False
    succeeded: bool = False
    failing: bool = False  # the last run of this session brought not all
    began: bool = False  # a session, ever
    ended: bool = False
    refreshed: float | None = None
    history: list[Entry] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    @property
    def live(self) -> bool:
        return self.status in LIVE

    @property
    def active(self) -> bool:
        return self.user.status == "active"

    @property
    def last_run(self) -> tuple[str, str | None] | None:
        """Its state and its code."""
        if not self.history:
            return None
        newest = self.history[0]
        return "cancelled" if newest.code == "RUN_CANCELLED" else newest.status, newest.code

    @property
    def next_sync(self) -> bool:
        return self.live and self.auto and self.active

    @property
    def rate(self) -> float:
        return round(100 * self.successful / self.total, 1) if self.total else 0.0

    # What happens to a connector

    def begin(self, *, refreshed: bool) -> None:
        """A session begins, and for an active user its first run."""
        self.account.open()
        self.status, self.session_id, self.began = "connected", None, True
        self.pending, self.login_url, self.in_a_row = False, None, 0
        self.refreshed = time.monotonic() if refreshed else None
        self.run = Run(self.types) if self.active else None

    def end(self, status: str) -> None:
        self.break_off()
        self.status, self.session_id, self.ended, self.failing = status, None, True, False
        if status == "disconnected":
            self.pending, self.login_url = False, None

    def break_off(self) -> None:
        if self.run is not None:
            run = self.run
            self.keep(Entry("failed", "RUN_CANCELLED", run.sync_id, tuple(run.done)))

    def keep(self, entry: Entry) -> None:
        """A run is over."""
        self.run = None
        self.history = [entry, *self.history][:HISTORY]
        self.total += 1
        self.successful += entry.status == "success"
        self.failed += entry.status == "failed"

    def fail(self, code: str) -> None:
        self.errors = [code, *self.errors][:ERRORS]

    def renewal(self, *, alive: bool) -> str | None:
        """What comes of extending a session: None, or the code of what is in the way."""
        account = self.account
        if account.renewable:
            return None
        if account.code_of(CHECK[account.platform]):
            return "PLATFORM_UNAVAILABLE"
        return None if alive else "REAUTH_REQUIRED"

    def renewed(self, session_id: str | None = None) -> None:
        """It goes on under a new name; who asks for a refresh soon gets the same."""
        self.account.alive = True
        self.session_id, self.refreshed = session_id, time.monotonic()

    def outcomes(self) -> list[Outcome]:
        """How the run under way may end.

        After an outage of one data type it may stop or go on. A data type of which some calls fail comes in
        part, if there is anything in the others.
        """
        choices = itertools.product((False, True), repeat=2)
        return [self._outcome(goes_on=goes_on, parts=parts) for goes_on, parts in choices]

    def _outcome(self, *, goes_on: bool, parts: bool) -> Outcome:
        run = self.run
        assert run is not None
        alive, renewed, first, done = self.account.alive, False, None, []
        away = False
        for data_type in run.types:
            code, part = (None, False) if run.hold else self._fetch(data_type, alive=alive)
            if code == "REAUTH_REQUIRED":
                code = self.renewal(alive=alive)
                if code is None:
                    alive = renewed = True
                    code, part = self._fetch(data_type, alive=alive)
            if code is None or (part and parts):
                done.append(data_type)
                first = first or code
            elif code == "PLATFORM_DATA_ERROR":
                first = code
            elif goes_on and code == "PLATFORM_UNAVAILABLE" and not away:
                first, away = code, True
            else:
                return Outcome(code, done, renewed)
        return Outcome(first, done, renewed)

    def _fetch(self, data_type: str, *, alive: bool) -> tuple[str | None, bool]:
        """The code of what is in the way, and whether a part comes nevertheless."""
        codes = []
        for call in CALLS[self.account.platform][data_type]:
            code = self.account.code_of(call)
            details = (self.account.platform, data_type) == ("fi_money", "profile")
            if (
                code and not (code == "PLATFORM_DATA_ERROR" or details)
            ) or code == "PLATFORM_THROTTLED":
                return code, False
            if not code and not alive:
                return "REAUTH_REQUIRED", False
            codes.append(code)
        return next(filter(None, codes), None), None in codes

    def finish(self, outcome: Outcome) -> None:
        """The run under way has come to its end, or is deferred."""
        run = self.run
        assert run is not None
        if outcome.renewed:
            self.renewed()
        if outcome.code == "PLATFORM_THROTTLED":
            run.deferred, run.done = True, outcome.done
            return
        status = outcome.status
        if outcome.code is not None:
            self.fail(outcome.code)
        self.keep(Entry(status, outcome.code, run.sync_id, tuple(outcome.done)))
        self.failing = status != "success"
        if outcome.code == "REAUTH_REQUIRED":
            self.end("expired")
        else:
            self.in_a_row = self.in_a_row + 1 if status == "failed" else 0
            self.status = "error" if self.in_a_row >= 5 else self.status
        if status != "failed":
            self.synced = True
        if status == "success":
            self.succeeded, self.status = True, "connected"


@dataclass
class User:
    user_id: str
    email: str
    number: int
    profile: dict[str, Any]
    preferences: dict[str, Any]
    metadata: dict[str, Any]
    status: str = "active"
    verified: bool = False
    connectors: dict[str, Connector] = field(default_factory=dict)


def new_preferences() -> dict[str, Any]:
    notifications = {"email": True, "sms": False, "push": True}
    return {"currency": "INR", "language": "en", "notifications": notifications}


class Model:
    """All users of one example, in the order they were made."""

    def __init__(self) -> None:
        self.users: dict[str, User] = {}
        self.made: list[Connector] = []  # in the order of their ids
        self._numbers = 0

    def create_user(self, user_id: str, email: str, profile: dict[str, Any]) -> list[str]:
        """The fields that are taken; none where the user was made."""
        taken = ["userId"] if user_id in self.users else []
        if email.lower() in {user.email for user in self.users.values()}:
            taken.append("email")
        if not taken:
            self._numbers += 1
            self.users[user_id] = User(
                user_id, email.lower(), self._numbers, profile, new_preferences(), {"tags": []}
            )
        return taken

    def delete_user(self, user_id: str) -> str | None:
        user = self.users.pop(user_id, None)
        if user is None:
            return "USER_NOT_FOUND"
        for connector in user.connectors.values():
            connector.account.shut()
            self.made = [each for each in self.made if each is not connector]
        return None

    def set_status(self, user: User, status: str) -> list[Connector]:
        """The connectors that start a run with it."""
        was_active, user.status = user.status == "active", status
        starting = []
        for connector in user.connectors.values():
            if status != "active":
                connector.break_off()
            elif not was_active and connector.next_sync:
                connector.run = Run(connector.types)
                starting.append(connector)
        return starting

    def connect(
        self, user_id: str, account: Account, asked: Sequence[str], *, page: bool, wrong: bool
    ) -> tuple[str | None, Connector | None]:
        user = self.users.get(user_id)
        if user is None:
            return "USER_NOT_FOUND", None
        granted = [name for name in asked if name in GRANTS[account.platform]]
        known = user.connectors.get(account.platform)
        if not granted:
            return "INVALID_CREDENTIALS", None
        if known is not None and known.live:
            return "ALREADY_CONNECTED", known
        if not page and (code := account.login_code(how="wrong" if wrong else "good")):
            return code, known
        connector = known or Connector(user, account)
        if known is None:
            user.connectors[account.platform] = connector
            self.made.append(connector)
        connector.permissions = connector.types = granted
        connector.by_page = page
        if page:
            account.shut()
            connector.status, connector.pending, connector.session_id = "disconnected", True, None
        else:
            connector.begin(refreshed=False)
        return None, connector

    def refresh(self, connector: Connector, how: str) -> str | None:
        """`how` is `none`, or the credentials as for `Account.login_code`."""
        if connector.live:
            if _just_now(connector):
                return None
            code = connector.renewal(alive=connector.account.alive)
            if code is None:
                connector.renewed()
            if code != "REAUTH_REQUIRED":
                return code
            connector.fail("REAUTH_REQUIRED")
            connector.end("expired")
        elif connector.status != "expired" and not connector.pending:
            return "NOT_CONNECTED"
        return self._complete(connector, how)

    def _complete(self, connector: Connector, how: str) -> str | None:
        account = connector.account
        if not account.pending_done:
            if how == "none":
                connector.pending = True
                return "REAUTH_REQUIRED"
            if code := account.login_code(how=how):
                return code
        connector.by_page = connector.by_page and how == "none"
        connector.begin(refreshed=True)
        return None

    def trigger(
        self, connector: Connector, types: Sequence[str], *, force: bool
    ) -> tuple[str | None, str | None]:
        """The code of a refusal, or why it is skipped; neither where a run is begun or found."""
        if not connector.live:
            again = connector.status == "expired" or connector.pending
            return "REAUTH_REQUIRED" if again else "NOT_CONNECTED", None
        if not set(types) <= set(connector.permissions):
            return "VALIDATION_ERROR", None
        if connector.run is not None:
            return None, None
        if not connector.active:
            return None, "user_not_active"
        if not force and connector.succeeded:
            return None, "recent_success"
        connector.run = Run(types or connector.types)
        return None, None


def _just_now(connector: Connector) -> bool:
    return (
        connector.refreshed is not None and time.monotonic() - connector.refreshed < REUSE_SECONDS
    )
