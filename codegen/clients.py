"""Generates and builds the clients of other languages than Python: `make clients`.

    clients/typescript/src/gen, build     TypeScript, by protoc-gen-es
    clients/go/finlink/*/                 Go, by protoc-gen-go and protoc-gen-go-grpc

Nothing of it is committed. Each language's own package manager brings its generator, pinned beside the
client. If something is not available (a program, a registry that cannot be reached), this is reported and the
language left out; with `--where-possible` that is no failure.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from buf.validate import validate_pb2
from google.protobuf import descriptor_pb2

from codegen import client_lists
from codegen.derived_rules import Contract
from codegen.stubs import GEN, ROOT, run_protoc

TYPESCRIPT = ROOT / "clients" / "typescript"
GO = ROOT / "clients" / "go"
GO_TOOLS = GO / "tools"
GO_MODULE = "github.com/finlink/finlink/clients/go"
VALIDATE = "buf/validate/validate.proto"
# Messages of package managers that cannot reach their registry.
UNREACHABLE = (
    "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ENETUNREACH", "ENOTFOUND", "ETIMEDOUT",
    "connection refused", "i/o timeout", "network is unreachable", "no such host",
)  # fmt: skip


class NotToBeHad(Exception):
    """Something that generating needs is missing; the message says how to get it."""


class Failed(Exception):
    """A step went wrong; the message is what it said."""


@dataclass(frozen=True)
class Language:
    """How the client of a language is made, and what of it is."""

    folder: Path
    needs: Mapping[str, str]  # programs, and how to get them
    made: tuple[Path, ...]
    pins: tuple[str, ...]  # what decides which generator is used
    generate: Callable[[], None]
    build: tuple[str, ...]

    @property
    def _stamp(self) -> Path:
        return GEN / "clients" / self.folder.name

    def _fingerprint(self) -> str:
        digest = hashlib.sha256((GEN / "finlink.binpb").read_bytes())
        own = sorted(Path(__file__).parent.glob("*.py"))
        for path in (*own, *(self.folder / name for name in self.pins)):
            digest.update(path.read_bytes())
        return digest.hexdigest()

    def is_current(self) -> bool:
        """Whether what is generated is that of the contract as it is."""
        stamp = self._stamp
        made = stamp.exists() and all(path.exists() for path in self.made)
        return made and stamp.read_text() == self._fingerprint()

    def make(self) -> None:
        """Generate what is not that of the contract as it is, and build. Raises NotToBeHad, Failed."""
        for program, advice in self.needs.items():
            if shutil.which(program) is None:
                raise NotToBeHad(f"`{program}` is missing: install {advice}")
        if not self.is_current():
            self._stamp.unlink(missing_ok=True)
            self.generate()
            self._stamp.parent.mkdir(exist_ok=True)
            self._stamp.write_text(self._fingerprint())
        step(*self.build, folder=self.folder)


def whole() -> Contract:
    """The contract with its rules and comments."""
    content = (GEN / "finlink.binpb").read_bytes()
    return Contract(descriptor_pb2.FileDescriptorSet.FromString(content))


def contract() -> descriptor_pb2.FileDescriptorSet:
    """The contract without its `buf.validate` rules: the server checks them, clients need not carry them."""
    files = descriptor_pb2.FileDescriptorSet.FromString((GEN / "finlink.binpb").read_bytes())
    for file in files.file:
        file.dependency[:] = [name for name in file.dependency if name != VALIDATE]
        for message in file.message_type:
            for field in message.field:
                field.options.ClearExtension(validate_pb2.field)
                if not field.options.ByteSize():
                    field.ClearField("options")
    kept = [file for file in files.file if file.name != VALIDATE]
    return descriptor_pb2.FileDescriptorSet(file=kept)


def generate_typescript() -> None:
    """The packages of `npm ci` generate src/gen, with Google's messages that gRPC errors and options need."""
    fetch("npm", "ci", "--no-audit", "--no-fund", "--loglevel=error", folder=TYPESCRIPT)
    output = TYPESCRIPT / "src" / "gen"
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir()
    google = [
        "google/api/annotations.proto", "google/api/http.proto", "google/api/httpbody.proto",
        "google/rpc/code.proto",
    ]  # fmt: skip
    plugin = TYPESCRIPT / "node_modules" / ".bin" / "protoc-gen-es"
    options = (
        f"--plugin=protoc-gen-es={plugin}",
        f"--es_out={output}",
        "--es_opt=target=ts,import_extension=js",
    )
    protoc(google, *options)
    run_protoc(*options, "google/rpc/error_details.proto")
    client_lists.write_typescript(whole(), output)


def generate_go() -> None:
    """The `tool` lines of tools/go.mod say which generators: callers need none of them."""
    for module in (GO, GO_TOOLS):
        fetch("go", "mod", "download", folder=module)
    for folder in (GO / "finlink").iterdir():
        if folder.is_dir():
            shutil.rmtree(folder)
    plugins = {name: tool(name) for name in ("protoc-gen-go", "protoc-gen-go-grpc")}
    protoc(
        [],
        *(f"--plugin={name}={path}" for name, path in plugins.items()),
        f"--go_out={GO}", f"--go_opt=module={GO_MODULE}",
        f"--go-grpc_out={GO}", f"--go-grpc_opt=module={GO_MODULE}",
    )  # fmt: skip
    client_lists.write_go(whole(), GO / "finlink")
    step("gofmt", "-w", "finlink/services.go", folder=GO)


LANGUAGES: Mapping[str, Language] = {
    "typescript": Language(
        TYPESCRIPT,
        {
            "node": "Node.js 20 or newer (nodejs.org)",
            "npm": "npm, which comes with Node.js (nodejs.org)",
        },
        (TYPESCRIPT / "node_modules", TYPESCRIPT / "src" / "gen"),
        ("package-lock.json",),
        generate_typescript,
        ("npm", "run", "build"),
    ),
    "go": Language(
        GO,
        {"go": "Go 1.26 or newer (go.dev/dl)"},
        (GO / "finlink" / "users", GO / "finlink" / "services.go"),
        ("go.mod", "go.sum", "tools/go.mod", "tools/go.sum"),
        generate_go,
        ("go", "build", "./..."),
    ),
}


def protoc(more: list[str], *arguments: str) -> None:
    """protoc on the contract as clients have it, and `more` of what it imports."""
    files = contract()
    names = [file.name for file in files.file if file.name.startswith("finlink/")]
    with tempfile.NamedTemporaryFile(suffix=".binpb") as scratch:
        scratch.write(files.SerializeToString())
        scratch.flush()
        run_protoc(f"--descriptor_set_in={scratch.name}", *arguments, *names, *more, folders=())


def tool(name: str) -> str:
    """The path of a program among the tools of tools/go.mod, built."""
    return step("go", "tool", "-n", name, folder=GO_TOOLS).strip()


def fetch(*command: str, folder: Path) -> None:
    """Run what downloads. Raises NotToBeHad where the network is in the way."""
    try:
        step(*command, folder=folder)
    except Failed as failure:
        if any(sign in str(failure) for sign in UNREACHABLE):
            raise NotToBeHad(
                f"`{' '.join(command[:3])}` cannot reach its registry; try again with the network"
            ) from None
        raise


def step(*command: str, folder: Path) -> str:
    """The output of a command. Raises Failed with all that it said."""
    done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise Failed(f"`{' '.join(command)}` in {folder.name} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="make clients", description="Generate and build the clients."
    )
    parser.add_argument("--where-possible", action="store_true")
    leave_out = parser.parse_args().where_possible
    missing = False
    for name, language in LANGUAGES.items():
        try:
            language.make()
        except NotToBeHad as reason:
            print(f"clients: {name} is left out. {reason}")
            missing = True
        except Failed as failure:
            sys.exit(f"clients: {name}: {failure}")
        else:
            print(f"clients: {name} is made")
    if missing and not leave_out:
        sys.exit(1)


if __name__ == "__main__":
    main()
