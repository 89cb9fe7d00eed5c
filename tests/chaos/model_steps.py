"""One example of the model scenario: its steps, and the comparison after each of them."""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar, NamedTuple

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant

from tests.chaos.caller import Caller, Json, Reply, Way
from tests.chaos.model import Account, Connector, Model, Outcome, User
from tests.chaos.model_facts import Facts
from tests.chaos.model_views import assert_connector, assert_counts, assert_sync_status
from tests.chaos.platform_side import PlatformSide

TIMEOUT = 30.0  # what does not happen within so many seconds never will
NOBODY = "0" * 24
HELD_FOR = 8  # steps; a call that waits longer would be given up
SLOTS = 3
PLATFORMS = ("fi_money", "zerodha")

WAYS = st.sampled_from(["rest", "grpc"])
SLOT = st.integers(0, SLOTS - 1)
# One of the connectors there are; the last numbers name one that need not be there.
MOST_WHO, ANY_WHO = 12, 8
WHO = st.integers(0, MOST_WHO)


class Place(NamedTuple):
    """Where a connector is, or may be: a user of this example, and a platform."""

    slot: int
    platform: str


@dataclass
class World:
    """What all examples share: the way to Finlink and to the sandbox, and what was done."""

    caller: Caller
    platforms: PlatformSide
    events: Counter[str] = field(default_factory=Counter)
    compared: int = 0

    @property
    def done(self) -> int:
        return self.caller.counts.total() + self.events.total()


class Steps(RuleBasedStateMachine):
    """An example has users, logins and ids of its own, gone at its end."""

    world: ClassVar[World]

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.facts = Facts()
        self.name = f"m{uuid.uuid4().hex[:10]}"
        self.accounts: dict[Place, Account] = {}
        self.ids: dict[Place, str] = {}
        self.tokens: dict[Place, str] = {}  # that Kite's page handed back
        self.touched: list[Connector] = []
        self.ending: set[str] = set()  # holds whose calls may go on
        self.held = 0  # the steps since a run is held, and one
        self.began = datetime.now(UTC)

    def ask(self, way: Way, rpc: str, **fields: Any) -> Reply:
        return self.world.caller.call(way, rpc, **fields)

    def event(self, kind: str) -> None:
        self.world.events[kind] += 1

    def user_id(self, slot: int) -> str:
        return f"{self.name}_{slot}"

    def user(self, slot: int) -> User | None:
        return self.model.users.get(self.user_id(slot))

    def place(self, who: int) -> Place:
        made = self.model.made
        if who < ANY_WHO and made:
            return self.place_of(made[who % len(made)])
        return Place(who % SLOTS, PLATFORMS[who % 2])

    def those(self, wanted: Callable[[Connector], bool]) -> list[Connector]:
        return [connector for connector in self.model.made if wanted(connector)]

    def one_of(self, wanted: Callable[[Connector], bool], who: int) -> tuple[Place, Connector]:
        """One of those that are wanted, of which there is one at least."""
        those = self.those(wanted)
        connector = those[who % len(those)]
        return self.place_of(connector), connector

    def place_of(self, connector: Connector) -> Place:
        return Place(int(connector.user.user_id[-1]), connector.account.platform)

    def account(self, place: Place) -> Account:
        """The first user's Kite app gets refresh tokens."""
        approved = place == Place(0, "zerodha")
        login = f"{self.name}{place.slot}".upper()
        return self.accounts.setdefault(place, Account(place.platform, login, approved))

    def connector(self, place: Place) -> Connector | None:
        user = self.user(place.slot)
        return user.connectors.get(place.platform) if user else None

    def id_of(self, place: Place) -> str:
        """Of the connector there is, or was, or of none."""
        return self.ids.get(place, NOBODY)

    def touch(self, *connectors: Connector) -> None:
        """Compare them at the end of this step."""
        self.touched += connectors

    def drop_block(self, connector: Connector) -> None:
        """Let the platform answer, at the end of this step."""
        if connector.run is not None and connector.run.hold is not None:
            self.ending.add(connector.run.hold)
            connector.run.hold_ends = True

    def waits_for_lock(self, *connectors: Connector) -> bool:
        """Whether a held call keeps other calls of the same session from Fi."""
        return any(
            each.run is not None and each.run.hold is not None
            for each in connectors
            if each.account.platform == "fi_money"
        )

    def end_block(self) -> None:
        for connector in self.model.made:
            if connector.run is not None and connector.run.hold is not None:
                self.drop_block(connector)
                self.touch(connector)

    def take_session(self, connector: Connector, session_id: str | None) -> None:
        """Of a session that has just begun or been renewed: a name never seen before."""
        if session_id is not None:
            self.facts.new_session(session_id)
        connector.session_id = session_id

    @invariant()
    def settle(self) -> None:
        """Let runs end that nothing holds, and compare what was touched."""
        if self.held:
            self.held += 1
            if self.held > HELD_FOR:
                self.end_block()
        self.release()
        touched, self.touched = {id(each) for each in self.touched}, []
        compared = self.those(lambda each: id(each) in touched)
        for connector in compared:
            self.run_to_end(connector)
        for connector in compared:
            self.compare(connector)

    def release(self) -> None:
        ending, self.ending = self.ending, set()
        for hold in ending:
            self.world.platforms.release(hold)
            self.held = 0

    def run_to_end(self, connector: Connector) -> None:
        run = connector.run
        if run is None or run.deferred or (run.hold is not None and not run.hold_ends):
            return
        possible = connector.outcomes()
        over = possible[0].over
        status = self.wait_for_end(connector, over)
        if run.sync_id is None:  # nobody asked for it: a first run, or one that goes on
            run.sync_id = status["syncHistory"][0]["syncId"] if over else status["currentSyncId"]
            self.facts.new_run(run.sync_id)
        connector.finish(_as_reported(possible, status) if over else possible[0])
        self.event("run ended" if over else "run deferred")
        name = {"connectorId": connector.id, "syncId": run.sync_id}
        (reported,) = self.world.caller.read(("GetSync", name))
        new = [count for count in reported["counts"] if count["dataType"] not in run.reported]
        self.facts.fetched(connector, new)
        if connector.live and connector.session_id is None:  # renewed by the run
            (data,) = self.world.caller.read(("GetConnector", {"connectorId": connector.id}))
            self.take_session(connector, data.get("sessionId"))
        if connector.status == "expired":
            self.wait_for_login(connector)

    def wait_for_end(self, connector: Connector, over: bool) -> Json:
        """The sync status once another run has ended, or, if it is not to be over, waits."""
        patience = time.monotonic() + TIMEOUT
        name = {"connectorId": connector.id}
        while True:
            (status,) = self.world.caller.read(("GetSyncStatus", name))
            current = status.get("currentSyncId")
            there = status["totalSyncs"] > connector.total and current is None
            if not over and current is not None:
                (run,) = self.world.caller.read(("GetSync", {**name, "syncId": current}))
                there = run["state"] == "deferred"
            if there or time.monotonic() > patience:
                return status
            time.sleep(0.003)

    def wait_for_login(self, connector: Connector) -> None:
        """The run that found the session ended also prepares the login that is needed."""
        patience = time.monotonic() + TIMEOUT
        while True:
            reply = self.ask("grpc", "TriggerSync", connectorId=connector.id)
            assert reply.code == "REAUTH_REQUIRED"
            if "loginUrl" in reply.metadata:
                connector.login_url, connector.pending = reply.metadata["loginUrl"], True
                return
            assert time.monotonic() < patience, "no login was prepared"
            time.sleep(0.003)

    def compare(self, connector: Connector) -> None:
        """The connector, its syncs, the counts and the list, against the model."""
        self.world.compared += 1
        name = {"connectorId": connector.id}
        whole, syncs, counts, listed = self.world.caller.read(
            ("GetConnector", name),
            ("GetSyncStatus", name),
            ("GetConnectorStatusSummary", {"fromDate": self.began.isoformat()}),
            ("ListConnectors", {"limit": len(self.model.made)}),
        )
        assert_connector(connector, whole)
        assert_sync_status(connector, syncs)
        ours = {each.id: each for each in self.model.made}
        assert [each["id"] for each in listed["connectors"]] == list(reversed(ours))
        began = [each for each in listed["connectors"] if ours[each["id"]].began]
        by_list = Counter(
            (each["platform"], each["connectionStatus"], each["failing"]) for each in began
        )
        assert_counts(by_list, counts)
        by_model = Counter(
            (each.account.platform, each.status, each.failing)
            for each in self.model.made
            if each.began
        )
        assert by_list == by_model

    def teardown(self) -> None:
        """Leave nothing behind, so that examples know nothing of one another."""
        self.end_block()
        self.release()
        for account in self.accounts.values():
            self.world.platforms.clear(account)
        self.world.platforms.set_clock()
        for user_id in self.model.users:
            self.ask("grpc", "DeleteUser", userId=user_id)


def _as_reported(possible: list[Outcome], status: Json) -> Outcome:
    """The outcome that the newest run had; the first where it had none of those possible."""
    newest = status["syncHistory"][0]
    fetched = [count["dataType"] for count in newest["counts"]]
    reported = (newest.get("errorCode"), fetched)
    return next((each for each in possible if (each.code, each.done) == reported), possible[0])
