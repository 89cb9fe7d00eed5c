"""Clients that others' generators make of docs/openapi.yaml: generated, built, and how to run a program.

The commands are those of docs/api.md. A client is made into an empty folder.
"""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.openapi.document import PLACE
from tests.openapi.generators.environments import HERE, jar, needs, node_modules, run, venv

Command = Sequence[str]
_OPENAPI_GENERATOR = "java -jar openapi-generator-cli.jar generate -i openapi.yaml -o client"
COMMANDS = {
    "openapi_python_client": "openapi-python-client generate --path openapi.yaml --meta none "
    "--output-path client --config config.yaml",
    "openapi_generator_python": f"{_OPENAPI_GENERATOR} -g python",
    # For Go: replies may gain fields.
    "openapi_generator_go": f"{_OPENAPI_GENERATOR} -g go "
    "--additional-properties=disallowAdditionalPropertiesIfNotPresent=false",
    "openapi_generator_typescript": f"{_OPENAPI_GENERATOR} -g typescript-fetch",
    "hey_api": "openapi-ts -i openapi.yaml -o client",
    "openapi_typescript": "openapi-typescript openapi.yaml -o schema.d.ts",
}


def openapi_python_client(folder: Path) -> Command:
    programs = venv("openapi_python_client")
    own = HERE / "openapi_python_client"
    shutil.copy(own / "config.yaml", folder)
    said = _generate("openapi_python_client", folder, programs / "openapi-python-client")
    assert "WARNING" not in said, said
    return _python(programs, own, folder, "client")


def openapi_generator_python(folder: Path) -> Command:
    _generate("openapi_generator_python", folder, "java", jar())
    (folder / "openapi_client").symlink_to(folder / "client" / "openapi_client")
    programs, own = venv("openapi_generator"), HERE / "openapi_generator"
    return _python(programs, own, folder, "client/openapi_client", strict=False)


def openapi_generator_go(folder: Path) -> Command:
    needs("go")
    _generate("openapi_generator_go", folder, "java", jar())
    client = folder / "client"
    shutil.rmtree(client / "test")  # it needs a module, and tests nothing
    shutil.copy(HERE / "openapi_generator" / "program.go", folder)
    (folder / "go.mod").write_text(
        "module program\n\ngo 1.23\n\nrequire github.com/GIT_USER_ID/GIT_REPO_ID v0.0.0\n\n"
        "replace github.com/GIT_USER_ID/GIT_REPO_ID => ./client\n"
    )
    for place in (client, folder):
        run("go", "vet", "./...", cwd=place)
    run("go", "build", "-o", "program", ".", cwd=folder)
    return [str(folder / "program")]


def openapi_generator_typescript(folder: Path) -> Command:
    _generate("openapi_generator_typescript", folder, "java", jar())
    return _typescript("openapi_generator", folder)


def hey_api(folder: Path) -> Command:
    programs = node_modules("hey_api") / ".bin"
    said = _generate("hey_api", folder, programs / "openapi-ts")
    assert "warn" not in said.lower(), said
    return _typescript("hey_api", folder)


def openapi_typescript(folder: Path) -> Command:
    programs = node_modules("openapi_typescript") / ".bin"
    _generate("openapi_typescript", folder, programs / "openapi-typescript")
    return _typescript("openapi_typescript", folder)


CLIENTS: Mapping[str, Callable[[Path], Command]] = {
    made.__name__: made
    for made in (
        openapi_python_client,
        openapi_generator_python,
        openapi_generator_go,
        openapi_generator_typescript,
        hey_api,
        openapi_typescript,
    )
}


def _generate(name: str, folder: Path, program: Path | str, archive: Path | None = None) -> str:
    """What the generator says. It is the command's program, and its archive where it is Java's."""
    shutil.copy(PLACE, folder / "openapi.yaml")
    words = shlex.split(COMMANDS[name])
    words[0] = str(program)
    if archive is not None:
        words[words.index("-jar") + 1] = str(archive)
    return run(*words, cwd=folder)


def _python(
    programs: Path, own: Path, folder: Path, package: str, *, strict: bool = True
) -> Command:
    """The client is checked as strictly as its generator meant it to be, and what uses it always."""
    shutil.copy(own / "program.py", folder)
    mypy = str(programs / "mypy")
    run(mypy, *(["--strict"] if strict else []), package, cwd=folder)
    options = ["--strict", "--follow-imports=silent", "program.py"]
    run(mypy, *options, cwd=folder)
    return [str(programs / "python"), str(folder / "program.py")]


def _typescript(name: str, folder: Path) -> Command:
    modules = node_modules(name)
    (folder / "node_modules").symlink_to(modules)
    for file in (HERE / name / "program.ts", HERE / "tsconfig.json"):
        shutil.copy(file, folder)
    run(str(modules / ".bin" / "tsc"), "-p", ".", cwd=folder)
    return ["node", str(folder / "build" / "program.js")]
