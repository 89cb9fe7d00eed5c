"""Calls about the money of one user over REST, made by a service on the user's behalf."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Any

import grpc
import httpx

from tests.e2e.connector_steps import Json


@dataclass(frozen=True)
class Money:
    rest: httpx.AsyncClient
    user_id: str

    async def get(
        self, path: str, headers: Mapping[str, str] | None = None, **query: Any
    ) -> httpx.Response:
        return await self.rest.get(path, params=query, headers=self._own(headers))

    async def post(
        self, path: str, body: Json, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        return await self.rest.post(path, json=body, headers=self._own(headers))

    async def put(
        self, path: str, body: Json, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        return await self.rest.put(path, json=body, headers=self._own(headers))

    async def delete(
        self, path: str, headers: Mapping[str, str] | None = None, **query: Any
    ) -> httpx.Response:
        return await self.rest.delete(path, params=query, headers=self._own(headers))

    async def request(self, verb: str, path: str, body: Json) -> httpx.Response:
        """A call whose verb has no body as a rule."""
        return await self.rest.request(verb, path, json=body, headers=self._own(None))

    async def made(self, path: str, body: Json) -> Json:
        """What a POST has created."""
        reply = await self.post(path, body)
        assert reply.status_code == 201, reply.text
        data: Json = reply.json()["data"]
        return data

    def _own(self, headers: Mapping[str, str] | None) -> dict[str, str]:
        return {"x-on-behalf-of": self.user_id, **(headers or {})}


async def status_of(call: Awaitable[Any]) -> grpc.StatusCode:
    """How a call over gRPC ends."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


def error_of(reply: httpx.Response, field: str | None = None) -> tuple[int, Any]:
    """Status and code of a refusal, which names the field if one is asked for."""
    error = reply.json()["error"]
    if field is not None:
        assert [each["field"] for each in error["details"]] == [field], error
    return reply.status_code, error["code"]
