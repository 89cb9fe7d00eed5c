"""Everything in the contract says what it is."""

from __future__ import annotations

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto

from tests.contract.descriptors import comments, documented, own_files

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
