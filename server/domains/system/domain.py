"""System, wired."""

from collections.abc import Sequence
from datetime import timedelta

from finlink.system.v1 import system_service_pb2, system_service_pb2_grpc

from server.core.health import Finding, HealthCheck, behind, together
from server.domains.system import store
from server.domains.system.service import REPORT_SECONDS, HealthService, Processes
from server.domains.system.servicer import SystemServicer
from server.domains.system.store import ProcessStore
from server.kernel import GATHERS_CHECKS, Domain, Kernel, Parts
from server.storage.background import Background


def build(kernel: Kernel, others: Sequence[Parts]) -> Parts:
    processes = Processes(ProcessStore(kernel.database))

    async def mongodb() -> Finding:
        await kernel.database.ping()
        return Finding()

    async def outbox() -> Finding:
        found = behind(
            await kernel.outbox.overdue(),
            "A message that is due waits for a worker",
            degraded=timedelta(seconds=15),
            failing=timedelta(seconds=60),
        )
        # A deployment may do without one of them.
        missing = [f"Nothing is set up to send {each}" for each in kernel.outbox.not_configured()]
        return together([found, *(Finding(message=each) for each in missing)])

    checks = [
        HealthCheck("mongodb", mongodb),
        HealthCheck("workers", processes.look),
        HealthCheck("outbox", outbox),
        *(each for parts in others for each in parts.checks),
    ]
    service = HealthService(checks, kernel.settings.mongo_timeout_ms / 1000)
    return Parts(
        register=lambda server: system_service_pb2_grpc.add_SystemServiceServicer_to_server(
            SystemServicer(service), server
        ),
        background=[Background("report this process", processes.report, REPORT_SECONDS)],
        engines=[Background("report the sync engine", processes.report_syncing, REPORT_SECONDS)],
        closed=[processes.leave],
    )


DOMAIN = Domain(
    contract=[system_service_pb2.DESCRIPTOR],
    build=build,
    indexes=lambda _: store.INDEXES,
    stage=GATHERS_CHECKS,
)
