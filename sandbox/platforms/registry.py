"""Every platform of the sandbox, one line each."""

from collections.abc import Sequence
from typing import Any

from sandbox.platforms.fi_money.manifest import FI_MONEY
from sandbox.platforms.manifest import Manifest
from sandbox.platforms.zerodha.manifest import ZERODHA

PLATFORMS: Sequence[Manifest[Any]] = (
    FI_MONEY,
    ZERODHA,
)
