"""Everything in the contract says what it is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto

from tests.contract.descriptors import comments, documented, own_files
from tests.stack import ROOT

FILES = own_files()


def test_the_contract_has_comments_and_names() -> None:
    names = [name for file in FILES for name, _ in documented(file)]
    assert "finlink.users.v1.UserService.CreateUser" in names
    assert "finlink.users.v1.CreateUserRequest.email" in names
    assert "finlink.errors.v1.ErrorReason.ERROR_REASON_INTERNAL" in names
    assert any(comments(file) for file in FILES)


@pytest.mark.parametrize("file", FILES, ids=[file.name for file in FILES])
def test_every_message_field_rpc_and_value_is_documented(file: FileDescriptorProto) -> None:
    texts = comments(file)
    assert [name for name, path in documented(file) if not texts.get(path)] == []


@pytest.mark.parametrize("file", FILES, ids=[file.name for file in FILES])
def test_every_rpc_says_whether_it_may_be_repeated(file: FileDescriptorProto) -> None:
    texts = comments(file)
    rpcs = {name: texts[path] for name, path in documented(file) if len(path) == 4 and path[0] == 6}
    assert [
        name
        for name, text in rpcs.items()
        if not re.search("repeat|repetition", text, re.IGNORECASE)
    ] == []


@pytest.mark.parametrize(
    "path", sorted((ROOT / "protos").rglob("*.proto")), ids=lambda path: path.name
)
def test_a_file_can_be_read_in_one_go(path: Path) -> None:
    # A service is one block, so it cannot be spread over files as messages can.
    most = 350 if path.name.endswith("_service.proto") else 300
    assert len(path.read_text().splitlines()) <= most, (
        "what belongs together goes into a file of its own"
    )
