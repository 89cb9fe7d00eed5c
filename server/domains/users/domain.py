"""Users, wired."""

from collections.abc import Sequence

from finlink.users.v1 import user_service_pb2, user_service_pb2_grpc

from server.domains.users import convert, metrics, store
from server.domains.users.administration.service import UserAdministration
from server.domains.users.service import UserService
from server.domains.users.servicer import UserServicer
from server.domains.users.settings import UserSettings
from server.domains.users.store import UserStore
from server.kernel import GATHERS_DEPENDENTS, Counted, Domain, Kernel, Parts


def build(kernel: Kernel, others: Sequence[Parts]) -> Parts:
    users = UserStore(kernel.database)
    dependents = [each for parts in others for each in parts.dependents]
    passwords = next((parts.passwords for parts in others if parts.passwords), None)
    service = UserService(kernel.changes, users, dependents, passwords)
    administration = UserAdministration(kernel.changes, users, dependents)
    return Parts(
        register=lambda server: user_service_pb2_grpc.add_UserServiceServicer_to_server(
            UserServicer(service, administration), server
        ),
        exporters=[service],
        exported={"user": convert.exported},
        counted=[Counted(store.COUNTED, metrics.report)],
    )


DOMAIN = Domain(
    contract=[user_service_pb2.DESCRIPTOR],
    build=build,
    indexes=lambda settings: store.indexes(settings.of(UserSettings).archive_days),
    retired=store.RETIRED,
    followed=[store.FOLLOWED],
    stage=GATHERS_DEPENDENTS,  # it asks all that keep something of a user before one is deleted
)
