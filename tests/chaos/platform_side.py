"""The sandbox's side of the model scenario: what happens to an account there."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import httpx

from tests.chaos.model import CHECK, Account
from tests.sandbox.accounts import PLATFORM_KEY, Accounts
from tests.sandbox.driver import API_SECRET

LOGIN_CALL = {"fi_money": "POST /login", "zerodha": "POST /session/token"}
# Longer than Finlink would wait and try again within a call, or go on with a run meanwhile.
LONG = 1800


class PlatformSide:
    """Does to accounts what the model says of them."""

    def __init__(self, sandbox: Accounts) -> None:
        self._sandbox = sandbox
        self._browser = httpx.Client()

    def close(self) -> None:
        self._browser.close()

    def credentials(self, account: Account, *, page: bool, wrong: bool) -> dict[str, str]:
        """As a caller sends them; for the platform's own page, without user name and password."""
        credentials = {}
        if account.platform == "zerodha":
            # A key of its own has a budget of its own.
            key = PLATFORM_KEY if account.approved else f"key_{account.login}"
            credentials = {"apiKey": key, "apiSecret": API_SECRET}
        if page:
            return credentials
        password = "wrong" if wrong else "secret"
        return {**credentials, "username": account.login, "password": password}

    def end_session(self, account: Account, kind: str) -> None:
        """`expired`, or `revoked` so that not even a refresh token helps."""
        self._put(account, {"kind": kind})
        account.alive = account.pending_done = False
        account.renewable = account.renewable and kind == "expired"
        self.apply(account)

    def apply(self, account: Account) -> None:
        """Have the account's faults be those of the model."""
        rules: list[dict[str, object]] = []
        if account.fault == "partial":
            rules.append({"kind": "partial", "calls": list(account.faulty)})
        elif account.fault is not None:
            wait = {} if account.fault == "not_json" else {"retry_after": LONG}
            rules.append({"kind": account.fault, "calls": list(account.faulty), **wait})
        if account.password_refused:
            rules.append({"kind": "wrong_password"})
        if account.login_down:
            rules.append({"kind": "unavailable", "calls": [LOGIN_CALL[account.platform]]})
        self._put(account, *rules)

    def _put(self, account: Account, *rules: dict[str, object]) -> None:
        self._sandbox.faults(account.platform, account.login, *rules)

    def clear(self, account: Account) -> None:
        name = account.platform
        self._sandbox.clear_faults(name, account.login)
        self.sell(account, [])

    def sell(self, account: Account, names: list[str]) -> None:
        place = f"/accounts/{account.platform}/{account.login}/data"
        self._sandbox.put(place, {"without": names})
        account.sold = names

    def block(self, account: Account, name: str, call: str) -> None:
        """Keep answers of `call`."""
        body = {
            "platform": account.platform,
            "login": account.login,
            "call": call,
            "at": "reply",
        }
        self._sandbox.put(f"/breakpoints/{name}", body)

    def until_blocked(self, name: str) -> None:
        self._sandbox.until(f"/breakpoints/{name}", lambda found: found["waiting"] > 0)

    def release(self, name: str) -> None:
        self._sandbox.control.delete(f"/breakpoints/{name}").raise_for_status()

    def pass_days(self, days: int) -> None:
        self._sandbox.put("/clock", {"advance_seconds": days * 86_400 + 1})

    def set_clock(self) -> None:
        self._sandbox.put("/clock", {"real": True})

    def log_in_at(self, login_url: str, account: Account) -> str | None:
        """As a user does at the page; the request token that Kite hands back."""
        query = parse_qs(urlsplit(login_url).query)
        address = urlsplit(login_url)
        site = f"{address.scheme}://{address.netloc}"
        if account.platform == "fi_money":
            form = {
                "sessionId": query["sessionId"][0],
                "phoneNumber": account.login,
                "otp": "1234",
            }
            self._browser.post(f"{site}/login", data=form).raise_for_status()
            account.pending_done = True
            return None
        form = {"api_key": query["api_key"][0], "user_id": account.login, "password": "secret"}
        reply = self._browser.post(f"{site}/connect/login", data=form)
        assert reply.status_code == 302, reply.text
        return parse_qs(urlsplit(reply.headers["location"]).query)["request_token"][0]


def may_be_faulty(account: Account, calls: tuple[str, ...]) -> list[str]:
    """Those a fault can be about: Fi's check is also made at logins, which is another story."""
    if account.platform == "fi_money":
        return [call for call in calls if call != CHECK["fi_money"]]
    return list(calls)
