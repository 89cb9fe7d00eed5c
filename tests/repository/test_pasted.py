"""Nothing of README and of the guides for contributors goes untried silently; `make test-readme` tries it."""

from __future__ import annotations

import subprocess

from tests.deploy.guide import blocks
from tests.repository import pasted


def test_every_block_of_readme_is_pasted_or_shown_or_left_out_for_a_reason() -> None:
    found = pasted.read()
    for start in (*pasted.LEFT_OUT, *pasted.SHOWN):
        assert len([block for block in found if block.text.startswith(start)]) == 1, start
    for part in pasted.SHOWN.values():
        assert len([block for block in pasted.of_readme() if part in block.text]) == 1, part
    assert len(pasted.of_readme()) > 5
    for block in found:
        done = block in pasted.of_readme() or pasted.is_shown(block)
        assert done != pasted.is_left_out(block), block.text


def test_every_line_of_the_guides_is_a_command_that_is_pasted_or_left_out_for_a_reason() -> None:
    for guide in pasted.GUIDES:
        # Others are files, and what they get: a test of the guide builds them.
        languages = {block.language for block in blocks(guide)}
        assert languages <= {"sh", "python", "proto", "yaml", "markdown"}, guide
    reported = {line for guide in pasted.GUIDES for line in pasted.lines(guide)}
    assert reported > set(pasted.LINES_LEFT_OUT)


def test_a_shell_reads_them() -> None:
    for text in (*(block.text for block in pasted.of_readme()), *pasted.of_guides()):
        done = subprocess.run(
            ["bash", "-n"], input=text, capture_output=True, text=True, check=False
        )
        assert done.stderr == "", text


def test_six_commands_lead_to_the_first_records() -> None:
    assert len(pasted.FIRST_COMMANDS) <= 6
    assert "finlink records" in pasted.FIRST_COMMANDS[-1]
