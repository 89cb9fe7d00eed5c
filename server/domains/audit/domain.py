"""Audit, wired."""

from collections.abc import Sequence

from finlink.audit.v1 import audit_service_pb2, audit_service_pb2_grpc

from server.domains.audit.sealer import Sealer
from server.domains.audit.service import AuditService
from server.domains.audit.servicer import AuditServicer, exported
from server.domains.audit.suspicions import RULES
from server.kernel import Domain, Kernel, Parts
from server.observability.metrics import SUSPICIOUS
from server.storage import audit


def build(kernel: Kernel, _: Sequence[Parts]) -> Parts:
    service = AuditService(kernel.trail)
    for rule in RULES:
        SUSPICIOUS.labels(rule.tells)
    return Parts(
        register=lambda server: audit_service_pb2_grpc.add_AuditServiceServicer_to_server(
            AuditServicer(service), server
        ),
        background=[Sealer(kernel.trail, kernel.leases)],
        exporters=[service],
        exported={"audit_event": exported},
    )


DOMAIN = Domain(
    contract=[audit_service_pb2.DESCRIPTOR],
    build=build,
    indexes=lambda _: audit.INDEXES,
    retired=audit.RETIRED,
)
