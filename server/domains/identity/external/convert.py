"""Logins at providers between the contract's messages and the domain."""

from collections.abc import Sequence

from finlink.identity.v1 import external_pb2, session_pb2

from server.domains.identity.external.model import Linked, ProviderReply, Started, Wanted
from server.domains.identity.providers import Provider
from server.domains.identity.sessions.model import Caller
from server.domains.identity.signin import convert
from server.domains.identity.signin.model import Challenged, Opened
from server.rpc.call import Call
from server.rpc.fields import to_message


def providers(found: Sequence[Provider]) -> external_pb2.ListProvidersResponse:
    listed = [to_message(external_pb2.Provider, each) for each in found]
    return external_pb2.ListProvidersResponse(data=external_pb2.ListProvidersData(providers=listed))


def started(begun: Started, *, with_secret: bool) -> external_pb2.StartExternalData:
    data = to_message(external_pb2.StartExternalData, begun)
    if not with_secret:
        data.ClearField("login_secret")
    return data


def reply(request: external_pb2.CompleteExternalRequest, secret: str) -> ProviderReply:
    issuer = request.iss if request.HasField("iss") else None
    return ProviderReply(request.code, request.state, secret, issuer)


def wanted(request: external_pb2.CompleteExternalRequest, call: Call, caller: Caller) -> Wanted:
    """Raises InvalidRequest for a cookie over gRPC."""
    return Wanted(
        convert.session_kind(request.session, "token", call),
        caller,
        request.device_name or None,
    )


def completed(result: Opened | Challenged | Linked) -> external_pb2.CompleteExternalResponse:
    if isinstance(result, Linked):
        data = session_pb2.SessionData()
        return external_pb2.CompleteExternalResponse(message="Provider linked", data=data)
    message = "Signed in" if isinstance(result, Opened) else "Second factor required"
    return external_pb2.CompleteExternalResponse(message=message, data=convert.session_data(result))
