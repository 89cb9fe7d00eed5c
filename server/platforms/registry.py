"""Every platform, one line each, in the contract's order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from server.platforms.fi_money.platform import FI_MONEY
from server.platforms.manifest import Manifest
from server.platforms.zerodha.platform import ZERODHA

PLATFORMS: Sequence[Manifest[Any]] = (
    FI_MONEY,
    ZERODHA,
)
