"""The RPC of finlink.identity.v1.KeyService."""

import json
from dataclasses import dataclass

from finlink.identity.v1 import key_service_pb2, key_service_pb2_grpc
from google.api import httpbody_pb2

from server.domains.identity.tokens.service import AccessTokens
from server.rpc.call import Context, current_call

# Of a key that is new an hour passes before it signs.
_CACHE_CONTROL = "public, max-age=300"


@dataclass(frozen=True)
class KeyServicer(key_service_pb2_grpc.KeyServiceServicer):
    _tokens: AccessTokens

    async def GetKeys(
        self, request: key_service_pb2.GetKeysRequest, context: Context
    ) -> httpbody_pb2.HttpBody:
        keys = json.dumps(await self._tokens.jwks(), separators=(",", ":")).encode()
        current_call().reply_headers.append(("cache-control", _CACHE_CONTROL))
        return httpbody_pb2.HttpBody(content_type="application/json", data=keys)
