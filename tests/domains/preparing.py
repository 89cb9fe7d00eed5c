"""What a domain's `requests.py` is made of."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

import httpx

from tests.e2e.connector_steps import Documents, Json

# Makes what must be there before a call, for a user; returns the request's identifiers by JSON name.
Prepare: TypeAlias = Callable[[httpx.AsyncClient, Documents, str], Awaitable[Json]]
