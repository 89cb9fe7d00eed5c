"""Exports, wired."""

from collections.abc import Sequence
from functools import partial

from finlink.exports.v1 import export_service_pb2, export_service_pb2_grpc

from server.domains.exports.service import ExportService
from server.domains.exports.servicer import ExportServicer
from server.kernel import GATHERS_EXPORTERS, Domain, Kernel, Parts


def build(kernel: Kernel, others: Sequence[Parts]) -> Parts:
    # The user comes first, whose domain is built after those that depend on it.
    exporters = [each for parts in reversed(others) for each in parts.exporters]
    exported = {kind: how for parts in others for kind, how in parts.exported.items()}
    servicer = ExportServicer(ExportService(kernel.changes, kernel.users, exporters), exported)
    register = partial(export_service_pb2_grpc.add_ExportServiceServicer_to_server, servicer)
    return Parts(register=register)


DOMAIN = Domain(contract=[export_service_pb2.DESCRIPTOR], build=build, stage=GATHERS_EXPORTERS)
