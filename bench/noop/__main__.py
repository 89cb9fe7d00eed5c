"""`python -m bench.noop`: the commands of `python -m server`, whose servers have the no-op too.

Supervisor, workers and Envoy are the product's own; this package only adds a service in the composition root,
the descriptors for Envoy to transcode it, and a rate limit of Zerodha without waiting. With BENCH_SILENT set
calls leave no trace, to see what their traces cost.
"""

from __future__ import annotations

import dataclasses
import os
import sys
from datetime import timedelta
from typing import Any

import grpc
from google.protobuf import message_factory

from bench.noop import descriptors

# Set, nothing is logged and counted of calls, commands to MongoDB and its connections.
SILENT = "BENCH_SILENT" in os.environ


class _Nothing:
    """Takes the place of an `observability.deferred_batch.DeferredBatch`."""

    def add(self, item: object) -> None: ...


def _run() -> None:
    from server.supervisor import run, specs  # noqa: PLC0415 - workers never need it

    run.ENVOY_TEMPLATE = descriptors.build(run.ENVOY_TEMPLATE, silent=SILENT)
    run.DESCRIPTORS = descriptors.FOR_ENVOY
    product_worker = specs.worker

    def worker(*args: Any, **more: Any) -> Any:
        spec = product_worker(*args, **more)
        words = ["bench.noop" if word == "server" else word for word in spec.argv]
        return dataclasses.replace(spec, argv=tuple(words))

    specs.worker = worker  # the supervisor looks it up for each worker


def _worker() -> None:
    # Here, as the supervisor starts faster without.
    from server import app  # noqa: PLC0415
    from server.domains import registry as domains  # noqa: PLC0415
    from server.kernel import Domain, Parts  # noqa: PLC0415
    from server.platforms import building  # noqa: PLC0415
    from server.platforms import registry as platforms  # noqa: PLC0415
    from server.rpc.middleware import logging  # noqa: PLC0415
    from server.storage import monitoring  # noqa: PLC0415

    file = descriptors.load()
    method = file.services_by_name["NoopService"].methods_by_name["Noop"]
    request = message_factory.GetMessageClass(method.input_type)
    response = message_factory.GetMessageClass(method.output_type)

    async def noop(_request: Any, _context: Any) -> Any:
        return response()

    handler = grpc.unary_unary_rpc_method_handler(
        noop,
        request_deserializer=request.FromString,
        response_serializer=response.SerializeToString,
    )

    def register(server: Any) -> None:
        # As generated code does; such a handler comes before that of unknown methods.
        server.add_registered_method_handlers(descriptors.SERVICE, {"Noop": handler})

    if SILENT:
        logging._ENDED = monitoring._COMMANDS = monitoring._POOL = _Nothing()  # type: ignore[assignment]
    # Of the sandbox, which has no limits: what is measured is the worker.
    fast = timedelta(milliseconds=1)
    unlimited = [
        dataclasses.replace(each, spacing=each.spacing and fast) for each in platforms.PLATFORMS
    ]
    building.PLATFORMS = unlimited  # type: ignore[attr-defined]
    noop_domain = Domain(contract=[file], build=lambda *_: Parts(register=register))
    domains.DOMAINS = (*domains.DOMAINS, noop_domain)
    app.CONTRACT = (*domains.CONTRACT, file)  # type: ignore[attr-defined]


if __name__ == "__main__":
    from server.__main__ import app as commands

    if sys.argv[1:2] == ["run"]:
        _run()
    else:
        _worker()
    commands(prog_name="python -m bench.noop")
