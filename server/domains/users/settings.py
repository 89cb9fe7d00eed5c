"""Settings of users."""

from typing import Annotated

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from server.config import SettingsBase


class UserSettings(SettingsBase):
    model_config = SettingsConfigDict(env_prefix="user_")

    archive_days: Annotated[int, Field(ge=1, le=3_650)] = 30
