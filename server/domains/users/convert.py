"""Users between the contract's messages and the domain, where that is more than names."""

from finlink.exports.v1 import export_service_pb2
from finlink.users.v1 import user_creation_pb2
from finlink.users.v1 import user_pb2 as pb

from server.core.users import NewUser, Profile, User
from server.rpc.fields import to_message, to_model


def new_user(request: user_creation_pb2.CreateUserRequest) -> NewUser:
    return to_model(
        NewUser,
        request,
        user_id=request.user_id or request.username,
        email=request.email.lower(),
        profile=to_model(Profile, request),
    )


def exported(value: User) -> export_service_pb2.ExportUserResponse:
    return export_service_pb2.ExportUserResponse(user=to_message(pb.User, value))
