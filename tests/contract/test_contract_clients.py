"""What the TypeScript and Go clients name of the contract by hand is all of it.

Their sources are read, so that this holds where there is no Node and no Go.
"""

from __future__ import annotations

import re

import pytest
from google.protobuf.descriptor import ServiceDescriptor

from server.rpc.status import STATUSES
from tests.contract.descriptors import services
from tests.stack import ROOT

TYPESCRIPT = ROOT / "clients" / "typescript" / "src"
GO = ROOT / "clients" / "go" / "finlink"
# What gRPC itself says of a call that was given up.
OF_GRPC = {"CANCELLED"}


@pytest.mark.parametrize("service", services(), ids=[service.name for service in services()])
def test_clients_have_every_service(service: ServiceDescriptor) -> None:
    assert f"Client<typeof {service.name}>" in (TYPESCRIPT / "client.ts").read_text()
    assert f".{service.name}Client" in (GO / "client.go").read_text()
    file = re.sub(r"[/.]", "_", service.file.name)
    assert f".File_{file}," in (GO / "rules.go").read_text()


def test_go_has_a_constant_for_every_reason() -> None:
    declared = re.findall(
        r'^\tCode\w+\s+Code = "(\w+)"$', (GO / "errors.go").read_text(), re.MULTILINE
    )
    assert set(declared) - OF_GRPC == STATUSES.keys()
