"""Random operations and events at a running Finlink, each compared with the model."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis.stateful import initialize

from tests.chaos.caller import Way
from tests.chaos.model_connections import ASKED, Connections
from tests.chaos.model_events import Events
from tests.chaos.model_reads import Reads
from tests.chaos.model_steps import WAYS, Place
from tests.chaos.model_users import Users


class FinlinkMachine(Users, Connections, Events, Reads):
    """All steps there are. An example begins with two users, each connected to Fi."""

    @initialize(way=WAYS, asked=ASKED)
    def begin(self, way: Way, asked: Sequence[str]) -> None:
        for slot in range(2):
            self.create_user(slot, way, False, "low")
            self.connect_at(Place(slot, "fi_money"), way, asked, "good")
