"""Generates what the contract's `.proto` files say: `make protos`.

    clients/python/src/finlink, buf   Python modules, type stubs and gRPC stubs
    clients/python/src/finlink_words  closed word lists, for code that knows no messages
    clients/python/src/finlink/commands.json  commands of `finlink`: see `codegen/commands.py`
    gen/finlink.binpb                 descriptor set with comments: buf, documentation, completeness tests
    gen/envoy.binpb                   descriptor set for Envoy's transcoder, see `codegen/envoy.py`
    gen/envoy-routes.json             Envoy's routes and rate limits, see `codegen/routes.py`
    gen/openapi.json                  docs/openapi.yaml for the page at /docs: a browser reads JSON far faster

Nothing of it is committed. Clients of other languages have theirs from `codegen/clients.py`. The
third-party files the contract imports come from installed packages: google/api from
googleapis-common-protos, google/protobuf from grpcio-tools, and buf/validate from protovalidate, which
ships a descriptor instead of a file.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import grpc_tools
import yaml
from google.protobuf import descriptor_pb2
from grpc_tools import protoc
from protovalidate._gen.buf.validate import validate_pb

from codegen import client_lists, derived_rules, envoy

ROOT = Path(__file__).resolve().parent.parent
PROTOS = ROOT / "protos"
STUBS = ROOT / "clients" / "python" / "src"
WORDS = STUBS / "finlink_words"
GEN = ROOT / "gen"
STAMP = GEN / "stamp"
DOCUMENT = ROOT / "docs" / "openapi.yaml"
FOLDERS = (
    PROTOS,
    Path(grpc_tools.__file__).parent / "_proto",
    Path(sysconfig.get_path("purelib")),
)

# Of the server, what the generated routes take from it.
ROUTES_READ = (ROOT / "server" / "edge" / "limits.py", ROOT / "server" / "rpc" / "method.py")
GENERATORS = ("grpcio-tools", "mypy-protobuf", "protovalidate", "googleapis-common-protos")


def fingerprint(sources: list[Path]) -> str:
    """A hash of all that the generated files depend on."""
    digest = hashlib.sha256()
    for package in GENERATORS:
        digest.update(f"{package}=={metadata.version(package)}\n".encode())
    own = sorted([*Path(__file__).parent.glob("*.py"), *PROTOS.rglob("commands.yaml")])
    for path in [*own, *ROUTES_READ, *sources]:
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def validate_descriptors() -> descriptor_pb2.FileDescriptorSet:
    """buf/validate/validate.proto as a descriptor set protoc can import from."""
    content = validate_pb.desc().proto.to_binary()
    return descriptor_pb2.FileDescriptorSet(
        file=[descriptor_pb2.FileDescriptorProto.FromString(content)]
    )


def run_protoc(*arguments: str, folders: Sequence[Path] = FOLDERS) -> None:
    """Run protoc on loose arguments; ends the program with protoc's own message on an error.

    folders: where `.proto` files are looked for, before descriptor sets.
    """
    includes = [f"-I{folder}" for folder in folders]
    if protoc.main(["protoc", *includes, *arguments]) != 0:
        sys.exit("protos: protoc refused the files above; nothing was generated")


def generate(sources: list[Path]) -> None:
    """Generate everything again. The files of before stay until the new ones are complete."""
    GEN.mkdir(exist_ok=True)
    names = [str(path.relative_to(PROTOS)) for path in sources]
    with tempfile.TemporaryDirectory(dir=GEN) as scratch:
        validate, described = Path(scratch) / "validate.binpb", Path(scratch) / "contract.binpb"
        stubs = Path(scratch) / "stubs"
        stubs.mkdir()
        validate.write_bytes(validate_descriptors().SerializeToString())
        imports = f"--descriptor_set_in={validate}"
        scripts = Path(sysconfig.get_path("scripts"))
        run_protoc(
            imports,
            "--include_imports",
            "--include_source_info",
            f"--descriptor_set_out={described}",
            *names,
        )
        contract = derived_rules.Contract(
            descriptor_pb2.FileDescriptorSet.FromString(described.read_bytes())
        )
        contract.add_word_rules()
        contract.add_mask_rules()
        described.write_bytes(contract.files.SerializeToString())
        imports = f"--descriptor_set_in={described}"
        run_protoc(
            imports,
            f"--python_out={stubs}",
            f"--grpc_python_out={stubs}",
            f"--plugin=protoc-gen-mypy={scripts / 'protoc-gen-mypy'}",
            f"--mypy_out=quiet:{stubs}",
            f"--plugin=protoc-gen-mypy_grpc={scripts / 'protoc-gen-mypy_grpc'}",
            f"--mypy_grpc_out=quiet:{stubs}",
            *names,
            folders=(),
        )
        run_protoc(
            imports,
            f"--python_out={stubs}",
            f"--plugin=protoc-gen-mypy={scripts / 'protoc-gen-mypy'}",
            f"--mypy_out=quiet:{stubs}",
            "buf/validate/validate.proto",
            folders=(),
        )
        sys.path.insert(0, str(stubs))  # it reads rules, with a module of these
        importlib.import_module("codegen.commands").write(contract.files, PROTOS, stubs)
        for top in (stubs / "finlink", stubs / "buf"):
            for folder in [top, *(path for path in top.rglob("*") if path.is_dir())]:
                (folder / "__init__.py").touch()
            (top / "py.typed").touch()
            shutil.rmtree(STUBS / top.name, ignore_errors=True)
            shutil.move(top, STUBS / top.name)
        shutil.move(described, GEN / "finlink.binpb")
    WORDS.mkdir(exist_ok=True)
    (WORDS / "py.typed").touch()
    (WORDS / "__init__.py").write_text(derived_rules.python_module(contract.lists()))
    client_lists.write_python(contract, STUBS / "finlink_client" / "gen")
    (GEN / "envoy.binpb").write_bytes(envoy.descriptors(contract.files).SerializeToString())
    sys.path.insert(0, str(STUBS))
    importlib.invalidate_caches()
    from codegen import routes  # noqa: PLC0415 - it reads the contract with the stubs made above

    routes.write(contract.files, GEN)
    document = yaml.safe_load(DOCUMENT.read_bytes())
    (GEN / "openapi.json").write_text(json.dumps(document))


def main() -> None:
    sources = sorted(PROTOS.rglob("*.proto"))
    current = fingerprint([*sources, DOCUMENT])
    if STAMP.exists() and STAMP.read_text() == current:
        return
    STAMP.unlink(missing_ok=True)
    generate(sources)
    STAMP.write_text(current)
    print(f"protos: generated from {len(sources)} files")


if __name__ == "__main__":
    main()
