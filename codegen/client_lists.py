"""Makes the lists of services, reasons and words for clients from the contract, as source of three languages.

clients/python/src/finlink_client/gen    services.py, reasons.py       by `make protos`
clients/typescript/src/gen               services.ts, words.ts         by `make clients`
clients/go/finlink                       services.go                   by `make clients`
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from codegen import command_names
from codegen.comments import comments
from codegen.derived_rules import Contract, plural

_REASON = "ERROR_REASON_"
_GO_MODULE = "github.com/finlink/finlink/clients/go/finlink"
# The classes of finlink_client.errors that reasons of a gRPC status derive from; others from FinlinkError.
_BASES = {
    "NOT_FOUND": "NotFound",
    "ALREADY_EXISTS": "Conflict",
    "FAILED_PRECONDITION": "Conflict",
    "ABORTED": "Conflict",
    "RESOURCE_EXHAUSTED": "LimitExceeded",
    "UNAUTHENTICATED": "AccessDenied",
    "PERMISSION_DENIED": "AccessDenied",
    "UNAVAILABLE": "Unavailable",
}


@dataclass(frozen=True)
class Service:
    """A service, and the attribute of a client that has its calls."""

    name: str
    file: str  # finlink/users/v1/user_service
    attribute: str

    @property
    def package(self) -> str:
        """`usersv1`, as Go calls it."""
        _, package, version, _ = self.file.split("/")
        return package + version


def services(contract: Contract) -> list[Service]:
    """By attribute."""
    found = [
        Service(
            service.name,
            file.name.removesuffix(".proto"),
            command_names.group(service.name, [rpc.name for rpc in service.method]).replace(
                "-", "_"
            ),
        )
        for file in contract.files.file
        for service in file.service
    ]
    return sorted(found, key=lambda service: service.attribute)


def reasons(contract: Contract) -> dict[str, tuple[str, str]]:
    """The gRPC status and the comment of each reason."""
    return {
        name.removeprefix(_REASON): (status, comment)
        for name, status, comment in _declared_reasons(contract)
    }


def _declared_reasons(contract: Contract) -> Iterable[tuple[str, str, str]]:
    (file,) = (file for file in contract.files.file if file.package == "finlink.errors.v1")
    said = comments(file)
    statuses = contract.statuses("finlink.errors.v1.ErrorReason")
    for value in file.enum_type[0].value[1:]:
        yield value.name, statuses[value.name], said[f"{file.package}.{value.name}"]


def write_python(contract: Contract, folder: Path) -> None:
    """Write the Python client's package of what is generated."""
    folder.mkdir(exist_ok=True)
    (folder / "__init__.py").touch()
    (folder / "services.py").write_text(_python_services(services(contract)))
    (folder / "reasons.py").write_text(_python_reasons(contract))


def _python_services(listed: Sequence[Service]) -> str:
    modules = [service.file.replace("/", ".") for service in listed]
    named = list(zip(listed, modules, strict=True))
    lines = [
        '"""The services of the contract. Made by `make protos`."""\n',
        "from __future__ import annotations\n",
        "from typing import TYPE_CHECKING\n",
        "import grpc",
        *(f"from {module}_pb2 import DESCRIPTOR as _{s.attribute}" for s, module in named),
        *(f"from {module}_pb2_grpc import {s.name}Stub" for s, module in named),
        "\nif TYPE_CHECKING:  # these exist for type checkers only",
        *(f"    from {module}_pb2_grpc import {s.name}AsyncStub" for s, module in named),
        "\nSERVICES = (",
        *(f'    _{s.attribute}.services_by_name["{s.name}"],' for s in listed),
        ")",
    ]
    for prefix, channel in (("", "grpc.Channel"), ("Async", "grpc.aio.Channel")):
        lines += [
            f"\n\nclass {prefix}Services:",
            '    """The generated stub of each service."""\n',
            *(f"    {s.attribute}: {s.name}{prefix}Stub" for s in listed),
            f"\n    def __init__(self, channel: {channel}) -> None:",
            *(f"        self.{s.attribute} = {s.name}Stub(channel)" for s in listed),
        ]
    return "\n".join(lines) + "\n"


def _python_reasons(contract: Contract) -> str:
    lines = [
        '"""An exception for each reason of the contract. Made by `make protos`."""\n',
        "from __future__ import annotations\n",
        "from finlink_client.errors import (",
        *(f"    {name}," for name in sorted({"FinlinkError", *_BASES.values()})),
        ")",
    ]
    classes = {}
    for reason, (status, comment) in reasons(contract).items():
        base = _BASES.get(status, "FinlinkError")
        classes[reason] = name = _camel(reason)
        if name != base:
            said = textwrap.fill(comment, 96, subsequent_indent="    ")
            lines.append(f'\n\nclass {name}({base}):\n    """{said}"""')
    lines += ["\n\nREASONS = {", *(f'    "{key}": {name},' for key, name in classes.items()), "}"]
    lines += ["__all__ = [", *(f'    "{name}",' for name in sorted(classes.values())), "]"]
    return "\n".join(lines) + "\n"


def write_typescript(contract: Contract, folder: Path) -> None:
    """Write what is beside the TypeScript client's messages."""
    listed = services(contract)
    attributes = {s.name: _lower_camel(s.attribute) for s in listed}
    lines = [
        "// The services of the contract. Made by `make clients`.",
        'import { type Client, createClient, type Transport } from "@connectrpc/connect";',
        *(f'import {{ {s.name} }} from "./{s.file}_pb.js";' for s in listed),
        f"\nexport const SERVICES = [{', '.join(attributes)}] as const;",
        "\n/** A client of each service. */",
        "export class Services {",
        *(f"  readonly {each}: Client<typeof {name}>;" for name, each in attributes.items()),
        "\n  constructor(transport: Transport) {",
        *(
            f"    this.{each} = createClient({name}, transport);"
            for name, each in attributes.items()
        ),
        "  }",
        "}",
    ]
    (folder / "services.ts").write_text("\n".join(lines) + "\n")
    words = ["// The closed word lists of the contract. Made by `make clients`."]
    for name, list_ in contract.lists().items():
        words.append(f"export const {plural(name)} = {json.dumps(list_)} as const;")
        words.append(f"export type {name} = (typeof {plural(name)})[number];")
    (folder / "words.ts").write_text("\n".join(words) + "\n")


def write_go(contract: Contract, folder: Path) -> None:
    """Write what is beside the Go client's own files, as gofmt would have it."""
    listed = services(contract)
    packages = {s.package: s.file.rpartition("/")[0] for s in listed}
    names = {s.name: _camel(s.attribute) for s in listed}
    lines = [
        "// Code generated by make clients. DO NOT EDIT.\n",
        "package finlink\n",
        "import (",
        '\t"google.golang.org/grpc"',
        *(
            f'\t{package} "{_GO_MODULE}/{path.removeprefix("finlink/")}"'
            for package, path in sorted(packages.items())
        ),
        ")\n",
        "// Services has a client of each service of the contract.",
        "type Services struct {",
        *(f"\t{names[s.name]} {s.package}.{s.name}Client" for s in listed),
        "}\n",
        "func servicesOf(conn grpc.ClientConnInterface) Services {",
        "\treturn Services{",
        *(f"\t\t{names[s.name]}: {s.package}.New{s.name}Client(conn)," for s in listed),
        "\t}",
        "}\n",
        "// methods are the contract's RPCs, by their path.",
        "var methods = methodsOf(",
        *(f"\t{s.package}.File_{s.file.replace('/', '_')}_proto," for s in listed),
        ")\n",
        "// The reasons of the contract; see error_reason.proto.",
        "const (",
        *(f'\tCode{_camel(reason)} Code = "{reason}"' for reason in reasons(contract)),
        ")",
    ]
    for name, list_ in contract.lists().items():
        lines += [f"\n// The words of {name} in the contract.", "const ("]
        lines += [f'\t{name}{_camel(word)} = "{word}"' for word in list_]
        lines += [")"]
    (folder / "services.go").write_text("\n".join(lines) + "\n")


def _camel(word: str) -> str:
    return "".join(part.capitalize() for part in word.split("_"))


def _lower_camel(word: str) -> str:
    return re.sub(r"_(\w)", lambda letter: letter[1].upper(), word)
