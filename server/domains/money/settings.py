"""Settings of money."""

from server.config import SettingsBase
from server.setting_types import FilePath, HttpUrl


class MoneySettings(SettingsBase):
    # Of the ECB's rates, a zip or CSV, with days that the installed package does not have.
    exchange_rates_file: FilePath | None = None
    # The same from the net, daily; unset, nothing is fetched.
    exchange_rates_url: HttpUrl | None = None
