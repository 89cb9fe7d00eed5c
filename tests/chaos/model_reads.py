"""Steps of the model scenario that only look."""

from __future__ import annotations

from collections import Counter

from hypothesis import strategies as st
from hypothesis.stateful import rule

from tests.chaos.caller import Json, Way
from tests.chaos.model import ALL
from tests.chaos.model_steps import MOST_WHO, SLOTS, WAYS, WHO, Place
from tests.chaos.model_syncs import NO_RUN, Syncs
from tests.chaos.model_views import (
    assert_connector,
    assert_counts,
    assert_run,
    assert_summary,
    assert_sync_status,
    assert_user,
)

STATUSES = ("connected", "disconnected", "expired", "error")
KINDS = (
    "connector", "user", "sync", "list", "find", "summary", "of_user", "run", "users", "records",
    "batch",
)  # fmt: skip
FIRST = st.integers(0, len(KINDS) - 1)
LENGTH = st.integers(4, len(KINDS))
VARIANT = st.integers(0, 5)


class Reads(Syncs):
    def look(self, first: int, length: int, who: int, way: Way, variant: int) -> None:
        """Several reads, one kind after another, of one connector after another, both ways."""
        ways: tuple[Way, Way] = ("rest", "grpc") if way == "rest" else ("grpc", "rest")
        for step in range(length):
            kind = KINDS[(first + step) % len(KINDS)]
            place = self.place((who + step) % (MOST_WHO + 1))
            getattr(self, f"look_at_{kind}")(place, ways[step % 2], (variant + step) % 6)

    # Three rules, so that about as much is looked at as is changed.

    @rule(first=FIRST, length=LENGTH, who=WHO, way=WAYS, variant=VARIANT)
    def look_around(self, first: int, length: int, who: int, way: Way, variant: int) -> None:
        self.look(first, length, who, way, variant)

    @rule(first=FIRST, length=LENGTH, who=WHO, way=WAYS, variant=VARIANT)
    def look_again(self, first: int, length: int, who: int, way: Way, variant: int) -> None:
        self.look(first, length, who, way, variant)

    @rule(first=FIRST, length=LENGTH, who=WHO, way=WAYS, variant=VARIANT)
    def look_once_more(self, first: int, length: int, who: int, way: Way, variant: int) -> None:
        self.look(first, length, who, way, variant)

    def look_at_connector(self, place: Place, way: Way, _: int) -> None:
        connector = self.connector(place)
        reply = self.ask(way, "GetConnector", connectorId=self.id_of(place))
        assert reply.code == (None if connector else "CONNECTOR_NOT_FOUND")
        if connector is not None:
            assert_connector(connector, reply.data)

    def look_at_sync(self, place: Place, way: Way, _: int) -> None:
        connector = self.connector(place)
        reply = self.ask(way, "GetSyncStatus", connectorId=self.id_of(place))
        assert reply.code == (None if connector else "CONNECTOR_NOT_FOUND")
        if connector is not None:
            assert_sync_status(connector, reply.data)

    def look_at_find(self, place: Place, way: Way, _: int) -> None:
        connector = self.connector(place)
        reply = self.ask(
            way,
            "GetUserPlatformConnector",
            userId=self.user_id(place.slot),
            platform=place.platform,
        )
        assert reply.code == (None if connector else "CONNECTION_NOT_FOUND")
        if connector is not None:
            assert_summary(connector, reply.data["connector"])

    def look_at_of_user(self, place: Place, way: Way, _: int) -> None:
        user = self.user(place.slot)
        reply = self.ask(way, "ListUserConnectors", userId=self.user_id(place.slot))
        assert reply.code == (None if user else "USER_NOT_FOUND")
        if user is not None:
            theirs = list(user.connectors.values())
            assert reply.data["totalConnectors"] == len(reply.data["connectors"]) == len(theirs)
            for connector, data in zip(theirs, reply.data["connectors"], strict=True):
                assert_summary(connector, data)
            active = sum(connector.status == "connected" for connector in theirs)
            assert reply.data["activeConnections"] == active

    def look_at_user(self, place: Place, way: Way, _: int) -> None:
        user = self.user(place.slot)
        reply = self.ask(way, "GetUser", userId=self.user_id(place.slot))
        assert reply.code == (None if user else "USER_NOT_FOUND")
        if user is not None:
            assert_user(user, reply.data)

    def look_at_users(self, _: Place, way: Way, number: int) -> None:
        """By a city of this example alone, in other letters."""
        city = f"{self.name} {'pUNE' if number % 2 else 'dELHI'}"
        where: Json = {"city": city}
        if number > 2:
            where["status"] = "active" if number == 3 else "suspended"
        found = [
            user
            for user in sorted(self.model.users.values(), key=lambda each: -each.number)
            if str(user.profile.get("city")).lower() == city.lower()
            and where.get("status") in {None, user.status}
        ]
        reply = self.ask(way, "ListUsers", limit=1, page=1 + number % 3, **where)
        page = number % 3
        assert [user["userId"] for user in reply.data["users"]] == [
            user.user_id for user in found[page : page + 1]
        ]
        pagination = reply.data["pagination"]
        assert pagination["totalUsers"] == pagination["totalPages"] == len(found)
        assert pagination["hasNext"] == (len(found) > page + 1)

    def look_at_batch(self, _: Place, way: Way, __: int) -> None:
        wanted = [self.user_id(slot) for slot in range(SLOTS)]
        reply = self.ask(way, "BatchGetUsers", userIds=wanted)
        there = [name for name in wanted if name in self.model.users]
        assert [user["userId"] for user in reply.data["users"]] == there
        missing = [name for name in wanted if name not in self.model.users]
        assert reply.data["missingUserIds"] == missing

    def look_at_list(self, place: Place, way: Way, number: int) -> None:
        """Pages of connectors, newest first, until the first one that is not ours."""
        where: Json = {"platform": place.platform} if number % 2 else {}
        if number > 1:
            where["status"] = STATUSES[number - 2]
        ours = [
            connector
            for connector in reversed(self.model.made)
            if where.get("platform") in {None, connector.account.platform}
            and where.get("status") in {None, connector.status}
        ]
        names = {connector.id for connector in self.model.made}
        listed: list[Json] = []
        token = Json()
        while True:
            page = self.ask(way, "ListConnectors", limit=number + 1, **where, **token).data
            listed += page["connectors"]
            token = {"pageToken": page["pagination"].get("nextPageToken")}
            if token["pageToken"] is None or page["connectors"][-1]["id"] not in names:
                break
        mine = [data for data in listed if data["id"] in names]
        for connector, data in zip(ours, mine, strict=True):
            assert_summary(connector, data)

    def look_at_summary(self, place: Place, way: Way, number: int) -> None:
        where = {"platform": place.platform} if number % 2 else Json()
        if number > 1:
            where["status"] = STATUSES[number - 2]
        expected = Counter(
            (each.account.platform, each.status, each.failing)
            for each in self.model.made
            if each.began
            and where.get("platform") in {None, each.account.platform}
            and where.get("status") in {None, each.status}
        )
        reply = self.ask(way, "GetConnectorStatusSummary", fromDate=self.began.isoformat(), **where)
        assert_counts(expected, reply.data)

    def look_at_run(self, place: Place, way: Way, number: int) -> None:
        connector = self.connector(place)
        sync_id = self.some_run(connector, number)
        reply = self.ask(way, "GetSync", connectorId=self.id_of(place), syncId=sync_id)
        if connector is None:
            assert reply.code == "CONNECTOR_NOT_FOUND"
        elif sync_id == NO_RUN:
            assert reply.code == "SYNC_NOT_FOUND"
        else:
            assert_run(connector, sync_id, reply.data)

    def look_at_records(self, place: Place, way: Way, number: int) -> None:
        connector = self.connector(place)
        data_type = ALL[number % 4]
        records: list[Json] = []
        token = Json()
        while True:
            reply = self.ask(
                way, "ListRecords", connectorId=self.id_of(place),
                dataType=data_type, limit=100, **token,
            )  # fmt: skip
            if connector is None:
                assert reply.code == "CONNECTOR_NOT_FOUND"
                return
            records += reply.data["records"]
            if "nextPageToken" not in reply.data["pagination"]:
                break
            token = {"pageToken": reply.data["pagination"]["nextPageToken"]}
        self.facts.kept(connector, data_type, records)
