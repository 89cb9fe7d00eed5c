"""Steps of the model scenario that happen at the platforms."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.chaos.caller import Way
from tests.chaos.model import CALLS, Connector
from tests.chaos.model_steps import WAYS, WHO, Place
from tests.chaos.model_syncs import Syncs
from tests.chaos.platform_side import may_be_faulty

MOST_DAYS = 2  # in one example: more would end every session again and again


class Events(Syncs):
    @precondition(lambda self: self.those(_has_session))
    @rule(who=WHO, kind=st.sampled_from(["expired", "revoked"]))
    def end_session(self, who: int, kind: str) -> None:
        _, connector = self.one_of(_has_session, who)
        self.event(f"session {kind}")
        self.world.platforms.end_session(connector.account, kind)

    @precondition(lambda self: self.those(_idle))
    @rule(
        who=WHO,
        kind=st.sampled_from(["not_json", "unavailable", "throttled", "partial"]),
        number=st.integers(0, 3),
        way=WAYS,
    )
    def fault(self, who: int, kind: str, number: int, way: Way) -> None:
        """Calls of one data type go wrong from now on, and a run meets them."""
        place, connector = self.one_of(_idle, who)
        types = connector.permissions
        self.fault_at(place, connector, kind, types[number % len(types)], way)
        self.trigger_at(place, way, [], True)

    def fault_at(
        self, place: Place, connector: Connector, kind: str, data_type: str, way: Way
    ) -> None:
        """After a failure the next run may come at any time, so only runs that are asked for."""
        self.settings_at(place, way, None, (), False)
        account = connector.account
        account.fault = kind
        account.faulty = may_be_faulty(account, CALLS[place.platform][data_type])
        self.event(kind)
        self.world.platforms.apply(account)

    @precondition(lambda self: not any(map(_refused, self.model.made)))
    @rule(who=WHO, what=st.sampled_from(["password", "login"]))
    def refuse_logins(self, who: int, what: str) -> None:
        account = self.account(self.place(who))
        self.event("wrong password" if what == "password" else "login unavailable")
        account.password_refused, account.login_down = what == "password", what == "login"
        self.world.platforms.apply(account)

    @precondition(lambda self: self.those(_in_trouble))
    @rule(who=WHO)
    def mend(self, who: int) -> None:
        place, _ = self.one_of(_in_trouble, who)
        self.mend_at(place)

    def mend_at(self, place: Place) -> None:
        account = self.account(place)
        self.event("mended")
        account.fault, account.faulty = None, ()
        account.password_refused = account.login_down = False
        self.world.platforms.clear(account)

    @precondition(lambda self: self.those(_fails_fast))
    @rule(
        who=WHO, way=WAYS, kind=st.sampled_from(["not_json", "unavailable"]), seldom=st.booleans()
    )
    def fail_five_times(self, who: int, way: Way, kind: str, seldom: bool) -> None:
        """Until the connector is in error; then, more often than not, one success clears it."""
        place, connector = self.one_of(_fails_fast, who)
        data_type = connector.permissions[0]
        calls = CALLS[place.platform][data_type]
        if may_be_faulty(connector.account, calls) != list(calls):
            kind = "unavailable"  # what makes no sense would leave the other calls' part
        self.fault_at(place, connector, kind, data_type, way)
        for _ in range(5):
            self.trigger_at(place, way, [data_type], True)
            self.settle()
        assert connector.status == "error"
        if seldom:
            return
        self.mend_at(place)
        self.trigger_at(place, way, [data_type], True)
        self.settle()
        assert connector.status == "connected"

    @precondition(lambda self: self.those(_waits_for_user))
    @rule(who=WHO)
    def log_in_at_page(self, who: int) -> None:
        """The user does as the login address says."""
        place, connector = self.one_of(_waits_for_user, who)
        self.event("login at page")
        token = self.world.platforms.log_in_at(str(connector.login_url), connector.account)
        if token is not None:
            self.tokens[place] = token

    @precondition(lambda self: self.facts.isins)
    @rule(who=WHO, sell=st.booleans(), way=WAYS)
    def sell_holdings(self, who: int, sell: bool, way: Way) -> None:
        """Something that was held is sold, or bought back, and the next run sees it."""
        known = self.those(lambda each: each.id in self.facts.isins)
        if not known:
            return
        connector = known[who % len(known)]
        self.event("holdings sold" if sell else "holdings bought back")
        isins = self.facts.isins[str(connector.id)]
        self.world.platforms.sell(connector.account, isins[:2] if sell else [])
        self.trigger_at(self.place_of(connector), way, ["portfolio"], True)

    @precondition(lambda self: self.facts.days < MOST_DAYS)
    @rule(seldom=st.integers(0, 5))
    def pass_days(self, seldom: int) -> None:
        """The platforms' clocks go past the end of every session."""
        if seldom:
            return
        self.event("clock past expiry")
        self.world.platforms.pass_days(1)
        self.facts.days += 1
        for account in self.accounts.values():
            account.alive = account.pending_done = False
        self.tokens.clear()


def _has_session(connector: Connector) -> bool:
    return connector.live and connector.account.alive


def _idle(connector: Connector) -> bool:
    return connector.live and connector.run is None


def _refused(connector: Connector) -> bool:
    return connector.account.password_refused or connector.account.login_down


def _in_trouble(connector: Connector) -> bool:
    return bool(connector.account.fault or connector.account.sold) or _refused(connector)


def _fails_fast(connector: Connector) -> bool:
    """Whose runs a fault of the first data type makes fail, and soon."""
    able = _idle(connector) and connector.active and connector.account.alive
    return able and connector.account.platform == "fi_money"


def _waits_for_user(connector: Connector) -> bool:
    return connector.pending and connector.login_url is not None and not _refused(connector)
