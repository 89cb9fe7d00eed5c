"""Identity, wired."""

from collections.abc import Sequence
from typing import Any

from finlink.identity.v1 import (
    auth_service_pb2,
    auth_service_pb2_grpc,
    key_service_pb2,
    key_service_pb2_grpc,
    me_service_pb2,
    me_service_pb2_grpc,
    user_admin_service_pb2,
    user_admin_service_pb2_grpc,
)

from server.core.health import HealthCheck
from server.domains.identity.credentials.accounts import store as account_store
from server.domains.identity.credentials.accounts.new_passwords import NewPasswords
from server.domains.identity.credentials.challenges import store as challenge_store
from server.domains.identity.credentials.lockout import store as lockout_store
from server.domains.identity.credentials.phones import metrics as phone_metrics
from server.domains.identity.credentials.phones import store as sms_store
from server.domains.identity.external import metrics as external_metrics
from server.domains.identity.management.me import convert as me_convert
from server.domains.identity.management.me.export import AccountExport
from server.domains.identity.management.me.servicer import MeServicer, exported_session
from server.domains.identity.management.staff.servicer import UserAdminServicer
from server.domains.identity.recovery import store as mail_store
from server.domains.identity.sessions import store as session_store
from server.domains.identity.sessions.activity import COUNT_SECONDS
from server.domains.identity.sessions.use import WRITE_SECONDS
from server.domains.identity.signin import metrics
from server.domains.identity.tokens import store as token_store
from server.domains.identity.tokens.servicer import KeyServicer
from server.domains.identity.wiring.basis import SECRETS
from server.domains.identity.wiring.ways import Wiring
from server.kernel import Domain, Kernel, Parts
from server.storage.background import Background


def build(kernel: Kernel, _: Sequence[Parts]) -> Parts:
    made = Wiring(kernel)
    auth, staff, keys = made.auth, UserAdminServicer(made.staff), KeyServicer(made.tokens)
    me = MeServicer(made.me, made.factors, made.phone_change, made.email_change, made.links)
    metrics.show_zeros()
    phone_metrics.show_zeros()
    external_metrics.show_zeros(each.name for each in made.external.providers)

    def register(server: Any) -> None:
        auth_service_pb2_grpc.add_AuthServiceServicer_to_server(auth, server)
        me_service_pb2_grpc.add_MeServiceServicer_to_server(me, server)
        user_admin_service_pb2_grpc.add_UserAdminServiceServicer_to_server(staff, server)
        key_service_pb2_grpc.add_KeyServiceServicer_to_server(keys, server)

    return Parts(
        register=register,
        background=[
            Background("note sessions in use", made.use.write, WRITE_SECONDS),
            Background("count sessions", made.activity.count, COUNT_SECONDS),
        ],
        closed=[made.hashing.stop, made.external.aclose],
        dependents=made.dependents,
        exporters=[AccountExport(kernel.users, made.me, made.sessions)],
        exported={
            "login_methods": me_convert.exported_login_methods,
            "session": exported_session,
        },
        passwords=NewPasswords(made.accounts, made.hashing),
        sign_ins=made.sign_ins,
        checks=[HealthCheck("signingKeys", made.tokens.health)],
    )


DOMAIN = Domain(
    contract=[
        auth_service_pb2.DESCRIPTOR, me_service_pb2.DESCRIPTOR, key_service_pb2.DESCRIPTOR,
        user_admin_service_pb2.DESCRIPTOR,
    ],
    build=build,
    indexes=lambda _: {
        **account_store.INDEXES, **session_store.INDEXES, **token_store.INDEXES,
        **lockout_store.INDEXES, **challenge_store.INDEXES, **sms_store.INDEXES,
        **mail_store.INDEXES,
    },
    secrets=SECRETS,
)  # fmt: skip
