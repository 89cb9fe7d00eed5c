"""Finlink's Python client: `connect` for asyncio, `connect_blocking` for everything else."""

from finlink_client.aio import Finlink, connect
from finlink_client.blocking import BlockingFinlink, connect_blocking
from finlink_client.errors import (
    AccessDenied,
    Cancelled,
    Conflict,
    FieldError,
    FinlinkError,
    LimitExceeded,
    NotFound,
)
from finlink_client.gen import reasons
from finlink_client.gen.reasons import *  # noqa: F403 - an exception for each reason of the contract
from finlink_client.sessions import Tokens, TokenStore

__all__ = [
    "AccessDenied",
    "BlockingFinlink",
    "Cancelled",
    "Conflict",
    "FieldError",
    "Finlink",
    "FinlinkError",
    "LimitExceeded",
    "NotFound",
    "TokenStore",
    "Tokens",
    "connect",
    "connect_blocking",
]
__all__ += reasons.__all__
