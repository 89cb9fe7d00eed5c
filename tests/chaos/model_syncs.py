"""Steps of the model scenario about settings and runs."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.chaos.caller import Json, Way
from tests.chaos.model import ALL, CALLS, HISTORY, Connector
from tests.chaos.model_steps import WAYS, WHO, Place, Steps
from tests.chaos.model_views import assert_run

NO_RUN = "sync_" + "0" * 24
# None, some of the permissions (by the bits of the number), or one that need not be among them.
TYPES = st.one_of(st.just(0), st.integers(1, 15), st.sampled_from(ALL))


class Syncs(Steps):
    def types_at(self, who: int, types: int | str) -> Sequence[str]:
        if isinstance(types, str):
            return [types]
        connector = self.connector(self.place(who))
        allowed = connector.permissions if connector else ALL
        return [name for bit, name in enumerate(allowed) if types >> bit & 1]

    @rule(
        who=WHO,
        way=WAYS,
        interval=st.sampled_from([None, None, 2, 15, 60, 0, 61]),
        types=TYPES,
        auto=st.sampled_from([None, False, False, True]),
    )
    def settings(
        self,
        who: int,
        way: Way,
        interval: int | None,
        types: int | str,
        auto: bool | None,
    ) -> None:
        self.settings_at(self.place(who), way, interval, self.types_at(who, types), auto)

    def settings_at(
        self,
        place: Place,
        way: Way,
        interval: int | None,
        types: Sequence[str],
        auto: bool | None,
    ) -> None:
        connector = self.connector(place)
        body = {"syncInterval": interval, "dataTypes": types or None, "autoSync": auto}
        body = {name: value for name, value in body.items() if value is not None}
        reply = self.ask(way, "UpdateSyncSettings", connectorId=self.id_of(place), **body)
        if interval in {0, 61}:
            assert (reply.code, list(reply.fields)) == ("VALIDATION_ERROR", ["syncInterval"])
        elif not body:
            assert reply.code == "VALIDATION_ERROR"
        elif connector is None:
            assert reply.code == "CONNECTOR_NOT_FOUND"
        elif not set(types) <= set(connector.permissions):
            assert (reply.code, list(reply.fields)) == ("VALIDATION_ERROR", ["dataTypes"])
        else:
            connector.interval = interval or connector.interval
            connector.types = types or connector.types
            connector.auto = connector.auto if auto is None else auto
            assert reply.data == {
                "syncInterval": connector.interval,
                "dataTypes": list(connector.types),
                "autoSync": connector.auto,
            }
            self.touch(connector)

    @rule(
        who=WHO,
        way=WAYS,
        types=TYPES,
        force=st.sampled_from([None, True, False]),
    )
    def trigger(self, who: int, way: Way, types: int | str, force: bool | None) -> None:
        self.trigger_at(self.place(who), way, self.types_at(who, types), force)

    def trigger_at(self, place: Place, way: Way, types: Sequence[str], force: bool | None) -> None:
        connector = self.connector(place)
        body: Json = {"dataTypes": list(types)} if types else {}
        if force is not None:
            body["forceSync"] = force
        under_way = connector.run if connector else None
        code, skipped = "CONNECTOR_NOT_FOUND", None
        if connector is not None:
            given, skipped = self.model.trigger(connector, types, force=force is not False)
            code = given or ""
        reply = self.ask(way, "TriggerSync", connectorId=self.id_of(place), **body)
        assert (reply.code or "") == code
        if connector is None or code:
            if code == "REAUTH_REQUIRED" and connector is not None and connector.pending:
                assert "loginUrl" in reply.metadata
            return
        sync_id = reply.data.get("syncId")
        if skipped:
            assert (reply.body["message"], reply.data["reason"]) == ("Sync skipped", skipped)
            newest = connector.history[0].sync_id if connector.history else None
            assert (reply.data["status"], sync_id) == ("skipped", newest)
            return
        assert connector.run is not None
        assert reply.body["message"] == "Sync initiated successfully"
        assert reply.data["status"] == "in_progress"
        if under_way is None:
            self.facts.new_run(str(sync_id))
            connector.run.sync_id = sync_id
            self.touch(connector)
        assert sync_id == connector.run.sync_id

    @rule(who=WHO, way=WAYS, number=st.integers(0, 3))
    def cancel(self, who: int, way: Way, number: int) -> None:
        place = self.place(who)
        connector = self.connector(place)
        sync_id = self.some_run(connector, number)
        reply = self.ask(way, "CancelSync", connectorId=self.id_of(place), syncId=sync_id)
        if connector is None:
            assert reply.code == "CONNECTOR_NOT_FOUND"
        elif sync_id == NO_RUN:
            assert reply.code == "SYNC_NOT_FOUND"
        else:
            under_way = connector.run is not None and connector.run.sync_id == sync_id
            if under_way:
                self.drop_block(connector)
                connector.break_off()
            done = "Sync cancelled" if under_way else "Sync already finished"
            assert reply.body["message"] == done
            assert_run(connector, sync_id, reply.data)
            self.touch(connector)

    def some_run(self, connector: Connector | None, number: int) -> str:
        """The one under way first; then the finished, the oldest among them; then none."""
        known = []
        if connector is not None:
            runs = [connector.run, *connector.history[:2], *connector.history[-1:]]
            known = [run.sync_id for run in runs if run is not None and run.sync_id]
        return known[number] if number < len(known) else NO_RUN

    @precondition(lambda self: not self.held and self.those(_syncs_well))
    @rule(who=WHO, way=WAYS)
    def sync_and_block(self, who: int, way: Way) -> None:
        """A run that stays under way: the platform keeps its last reply."""
        place, connector = self.one_of(_syncs_well, who)
        first, last = _blocked_types(connector)
        name = f"{self.name}_{self.world.done}"
        call = CALLS[place.platform][last][-1]
        self.world.platforms.block(connector.account, name, call)
        self.event("run held")
        self.trigger_at(place, way, [*first, last], True)
        run = connector.run
        assert run is not None
        run.hold, run.done, self.held = name, first, 1
        self.world.platforms.until_blocked(name)
        (reported,) = self.world.caller.read(
            ("GetSync", {"connectorId": connector.id, "syncId": run.sync_id})
        )
        self.facts.fetched(connector, reported["counts"])
        run.reported = first

    @precondition(lambda self: self.held)
    @rule()
    def let_go(self) -> None:
        self.end_block()

    @precondition(lambda self: self.those(_syncs_well))
    @rule(who=WHO, seldom=st.integers(0, 40))
    def fill_history(self, who: int, seldom: int) -> None:
        """More runs than a history keeps."""
        place, connector = self.one_of(_syncs_well, who)
        if seldom or place.platform == "zerodha":
            return
        data_type = _small_type(connector)
        while connector.total <= HISTORY:
            self.trigger_at(place, "grpc", [data_type], True)
            self.settle()


def _small_type(connector: Connector) -> str:
    """A data type that is soon fetched; empty where none is allowed."""
    small = (
        ("transactions", "profile") if connector.account.platform == "fi_money" else ("profile",)
    )
    return next((name for name in small if name in connector.permissions), "")


def _blocked_types(connector: Connector) -> tuple[list[str], str]:
    """Of a run whose very last call is to be held: what it has brought by then, and the rest."""
    if connector.account.platform == "zerodha":
        return [], "profile"
    last = next(name for name in reversed(ALL) if name in connector.permissions)
    calls = CALLS["fi_money"]
    first = [
        name
        for name in connector.permissions
        if name != last and calls[last][-1] not in calls[name]
    ]
    return first[:1], last


def _syncs_well(connector: Connector) -> bool:
    account = connector.account
    idle = connector.live and connector.active and connector.run is None
    return idle and account.alive and not account.fault and bool(_small_type(connector))
