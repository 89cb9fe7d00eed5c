"""`python -m server edge`: Envoy alone, before servers on other hosts."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from server.config import Settings
from server.supervisor import envoy_config, preflight
from server.supervisor.certificates import tls_of
from server.supervisor.datadir import DataDir
from server.supervisor.envoy_limits import limits_of
from server.supervisor.envoy_tracing import tracing_of
from server.supervisor.errors import StartError
from server.supervisor.pieces import bare_env
from server.supervisor.programs import find_envoy
from server.supervisor.run import DESCRIPTORS, ENVOY_TEMPLATE


def edge(settings: Settings, servers: Sequence[str]) -> None:
    """Become Envoy, which then runs until it is told to end. Exits with one line if it cannot."""
    try:
        data = DataDir(settings.data_dir)
        program = find_envoy()
        preflight.check_ports(preflight.listeners(settings))
        wanted = envoy_config.Edge(
            host=settings.host,
            rest_port=settings.port,
            grpc_port=settings.grpc_port,
            admin_port=settings.admin_port,
            sockets=(),
            servers=servers,
            descriptors=DESCRIPTORS,
            access_log=data.log("access"),
            limits=limits_of(settings),
            tls=tls_of(settings, data.path),
            tracing=tracing_of(settings),
        )
        envoy_config.write(ENVOY_TEMPLATE, data.envoy_config, wanted)
    except StartError as error:
        sys.exit(f"finlink: {error}")
    argv = [str(program), "-c", str(data.envoy_config), "--disable-hot-restart"]
    os.execve(program, [*argv, "--log-level", "warn"], bare_env())  # noqa: S606 - no shell wanted
