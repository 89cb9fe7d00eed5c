"""The operations guide: what its commands name exists, and it has a word on each alert and each metric.

`tests/topology/test_guide.py` pastes those that work in a fresh clone.
"""

from __future__ import annotations

import re
import shlex
import subprocess

import yaml

from bench import capacity
from tests.deploy import files, guide
from tests.deploy.commands import understood
from tests.deploy.files import of_kind
from tests.stack import ROOT


def test_every_block_says_what_it_is() -> None:
    assert {block.language for block in guide.blocks()} == {"console", "sh"}
    assert all((block.language == "console") == bool(block.finlink) for block in guide.blocks())
    assert len(guide.pasted()) > 5
    for block in guide.blocks():
        done = subprocess.run(
            ["bash", "-n"], input=block.text, capture_output=True, text=True, check=False
        )
        assert done.stderr == "", block.text


def test_commands_of_finlink_exist() -> None:
    found = [words for line in guide.lines() for words in guide.server_commands(line)]
    found += guide.inline_commands()
    names = {understood(words) for words in found}
    assert names >= {"rotate-keys", "verify-audit", "backup", "restore", "prepare"}


def test_the_commands_for_containers_and_kubernetes_exist() -> None:
    services = files.compose()["services"]
    deployments = {f"finlink-{name}" for name in of_kind("Deployment", files.base())}
    for line in guide.lines("sh"):
        words = shlex.split(line, comments=True)
        if words[:2] == ["docker", "compose"]:
            assert (ROOT / words[words.index("-f") + 1]).samefile(files.COMPOSE)
            named = {word for word in words if re.fullmatch(r"(server|worker|mongo)-\d|edge", word)}
            assert named <= services.keys()
            assert named or words[-1] == "build"
            if "run" in words:
                assert understood(words[words.index(named.pop()) + 1 :])
        elif words[0] == "kubectl":
            if "-k" in words:
                assert (ROOT / words[words.index("-k") + 1] / "kustomization.yaml").exists()
            named = set(re.findall(r" deploy(?:ment)?/(finlink\S*)", line))
            assert named <= deployments
            jobs = set(re.findall(r" job/(\S+)", line))
            assert jobs <= {"finlink-prepare"}
            assert ("-k" in words) != bool(named or jobs)
            assert "-k" in words or words[1:3] == ["-n", "finlink"]
        else:
            assert words[0] in {"kill", "cp", "systemctl", "promtool"} or list(
                guide.server_commands(line)
            ), line


def test_every_alert_has_a_row() -> None:
    rules = yaml.safe_load((ROOT / "deploy" / "prometheus" / "rules.yml").read_text())
    alerts = {rule["alert"] for group in rules["groups"] for rule in group["rules"]}
    rows = re.findall(r"^\| `(Finlink\w+)` \|(.+)\|(.+)\|$", guide.GUIDE.read_text(), re.MULTILINE)
    assert {name for name, meaning, action in rows if meaning.strip() and action.strip()} == alerts


def test_the_capacity_table_is_of_the_figures_as_they_are() -> None:
    text = guide.GUIDE.read_text()
    table = capacity.table(capacity.PAGE.read_text())
    assert len(table.splitlines()) > len(capacity.CALLS)
    reported = "run `python -m bench capacity`"
    assert capacity.renewed(text, capacity.PAGE.read_text()) == text, reported
