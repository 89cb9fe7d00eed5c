"""Clients have every service, reason and word list of the contract; their sources are generated.

This holds where there is no Node and no Go, too.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from codegen import client_lists
from codegen.derived_rules import Contract
from server.rpc.status import REASONS
from tests.contract.descriptors import descriptor_set, services

CONTRACT = Contract(descriptor_set())


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder: Path = tmp_path_factory.mktemp("clients")
    for write in (client_lists.write_python, client_lists.write_typescript, client_lists.write_go):
        write(CONTRACT, folder)
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_every_service_is_there(sources: dict[str, str]) -> None:
    assert services()
    for service in services():
        assert f'services_by_name["{service.name}"]' in sources["services.py"]
        assert f"Client<typeof {service.name}>" in sources["services.ts"]
        assert f".New{service.name}Client(conn)" in sources["services.go"]


def test_services_have_the_names_of_the_commands() -> None:
    attributes = {each.name: each.attribute for each in client_lists.services(CONTRACT)}
    assert attributes["UserService"] == "users"
    assert attributes["SyncService"] == "sync"
    assert len(set(attributes.values())) == len(attributes)


def test_every_reason_is_there(sources: dict[str, str]) -> None:
    for reason in REASONS:
        assert f'    "{reason}": ' in sources["reasons.py"]
        assert f' Code = "{reason}"\n' in sources["services.go"]


def test_every_word_is_there(sources: dict[str, str]) -> None:
    for name, words in CONTRACT.lists().items():
        assert f"export type {name} = " in sources["words.ts"]
        for word in words:
            assert f' = "{word}"\n' in sources["services.go"]
            assert f'"{word}"' in sources["words.ts"]
