"""Settings of connectors."""

from typing import Annotated

from pydantic import Field

from server.config import SettingsBase


class ConnectorSettings(SettingsBase):
    # Runs at a time in one worker; with 0 it only serves, and others must sync.
    sync_concurrency: Annotated[int, Field(ge=0, le=1_000)] = 20
