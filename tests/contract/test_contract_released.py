"""The contract is compared with the last released one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from codegen import released
from tests.contract.descriptors import GEN, descriptor_set
from tests.stack import ROOT


def breaking(image: Path) -> subprocess.CompletedProcess[str]:
    """What `make lint` runs."""
    released.main()
    buf = Path(sys.executable).with_name("buf")
    return subprocess.run(
        [buf, "breaking", image, "--against", released.RELEASED, "--path", "finlink"],
        cwd=ROOT, check=False, capture_output=True, text=True,
    )  # fmt: skip


def test_the_contract_breaks_nobody() -> None:
    done = breaking(GEN / "finlink.binpb")
    assert (done.returncode, done.stdout) == (0, "")


def test_a_field_and_a_word_that_are_gone_are_named(tmp_path: Path) -> None:
    changed = type(descriptor_set()).FromString(descriptor_set().SerializeToString())
    (users,) = (file for file in changed.file if file.name == "finlink/users/v1/user.proto")
    (user,) = (message for message in users.message_type if message.name == "User")
    del user.field[[field.name for field in user.field].index("email_verified")]
    (status,) = (enum for enum in users.enum_type if enum.name == "UserStatus")
    del status.value[-1]
    image = tmp_path / "changed.binpb"
    image.write_bytes(changed.SerializeToString())
    report = breaking(image).stdout
    assert '"email_verified" on message "User" was deleted' in report
    assert 'enum "UserStatus" was deleted' in report


def test_a_shallow_clone_fetches_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = released.PLACE.read_text().split()[0]
    clone = tmp_path / "clone"
    command = ["git", "clone", "--quiet", "--depth=1", f"file://{ROOT}", str(clone)]
    subprocess.run(command, check=True, capture_output=True)
    monkeypatch.setattr(released, "ROOT", clone)
    packed = subprocess.run(
        ["git", "archive", "--format=tar", commit, "protos"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    assert released.archive(commit) == packed.stdout


def test_a_commit_that_is_nowhere_is_named() -> None:
    with pytest.raises(SystemExit, match="0123456789012345678901234567890123456789"):
        released.archive("0123456789012345678901234567890123456789")
