"""Steps of the model scenario that connect, refresh and disconnect."""

from __future__ import annotations

import time
from collections.abc import Sequence

from hypothesis import strategies as st
from hypothesis.stateful import rule

from tests.chaos.caller import Json, Way
from tests.chaos.model import ALL, REUSE_SECONDS, Connector
from tests.chaos.model_steps import WAYS, WHO, Place, Steps

# Zerodha allows ten calls a second of one app, so its runs take longer: seldom all of it.
ASKED = st.sampled_from(
    [
        ("profile",), ("transactions",), ("transactions", "profile"), ("profile", "trades"),
        ("trades", "transactions"), ("portfolio", "transactions"), ALL,
    ]
)  # fmt: skip


class Connections(Steps):
    @rule(
        who=WHO,
        way=WAYS,
        asked=ASKED,
        how=st.sampled_from(["good", "good", "wrong", "page"]),
    )
    def connect(self, who: int, way: Way, asked: Sequence[str], how: str) -> None:
        self.connect_at(self.place(who), way, asked, how)

    def connect_at(self, place: Place, way: Way, asked: Sequence[str], how: str) -> None:
        account = self.account(place)
        page, wrong = how == "page", how == "wrong"
        code, connector = self.model.connect(
            self.user_id(place.slot), account, asked, page=page, wrong=wrong
        )
        reply = self.ask(
            way,
            "CreateConnector",
            userId=self.user_id(place.slot),
            platform=place.platform,
            permissions=list(asked),
            credentials=self.world.platforms.credentials(account, page=page, wrong=wrong),
        )
        assert reply.code == code
        if code is not None or connector is None:
            return
        data = reply.data
        assert connector.id in {None, data["id"]}
        connector.id = self.ids[place] = data["id"]
        assert reply.body["message"] == ("Login required" if page else "Connected successfully")
        assert ("loginUrl" in data, "sessionId" in data) == (page, not page)
        connector.login_url = data.get("loginUrl")
        self.tokens.pop(place, None)
        self.take_session(connector, data.get("sessionId"))
        self.touch(connector)

    @rule(who=WHO, way=WAYS, how=st.sampled_from(["none", "good", "wrong"]))
    def refresh(self, who: int, way: Way, how: str) -> None:
        place = self.place(who)
        connector = self.connector(place)
        if connector is None:
            reply = self.ask(way, "RefreshSession", connectorId=self.id_of(place))
            assert reply.code == "CONNECTOR_NOT_FOUND"
            return
        if self.cannot_decide_refresh(connector, how):
            return
        body = Json()
        if how != "none":
            given = self.world.platforms.credentials(
                connector.account, page=False, wrong=how == "wrong"
            )
            body = {"credentials": given}
        elif token := self.tokens.pop(place, None):
            body = {"credentials": {"requestToken": token}}
        before = connector.session_id
        self.drop_block_of_ended(connector)
        given_as = "token" if "requestToken" in body.get("credentials", {}) else how
        code = self.model.refresh(connector, given_as)
        reply = self.ask(way, "RefreshSession", connectorId=connector.id, **body)
        assert reply.code == code
        self.touch(connector)
        if code is None and connector.session_id is None:
            self.take_session(connector, reply.data["sessionId"])
            connector.refreshed = time.monotonic()
        elif code is None:
            assert reply.data["sessionId"] == before
        if code == "REAUTH_REQUIRED":
            connector.login_url = reply.metadata["loginUrl"]

    def cannot_decide_refresh(self, connector: Connector, how: str) -> bool:
        """Whether the reply hangs on the moment, or on who the account is told to be."""
        since = time.monotonic() - (connector.refreshed or 0.0)
        return (
            abs(since - REUSE_SECONDS) < 2
            or self.waits_for_lock(connector)
            or (connector.by_page and how != "none" and connector.account.platform == "fi_money")
        )

    def drop_block_of_ended(self, connector: Connector) -> None:
        if connector.live and not connector.account.alive and not connector.account.renewable:
            self.drop_block(connector)

    @rule(who=WHO, way=WAYS)
    def disconnect(self, who: int, way: Way) -> None:
        place = self.place(who)
        connector = self.connector(place)
        if connector is not None and self.waits_for_lock(connector):
            return
        reply = self.ask(way, "DisconnectConnector", connectorId=self.id_of(place))
        if connector is None:
            assert reply.code == "CONNECTOR_NOT_FOUND"
            return
        assert reply.code is None
        assert "disconnectedAt" in reply.data
        assert reply.data["sessionDuration"] == 0
        self.drop_block(connector)
        if connector.status != "disconnected" or connector.pending:
            connector.end("disconnected")
            connector.account.shut()
        self.touch(connector)
