"""The project's words: one term for each thing, in names, in messages and in documents.

A name is that of a module, class, function or metric; its words are compared one by one. Messages are the
strings of what runs: errors, log lines, help; its docstrings and comments have a test of their own. Documents
are what people read, the contract's comments among them. `-s` prints how many of each were read.

Where a word has an everyday sense as well, the comment beside it says which one is meant.
"""

from __future__ import annotations

import ast
import io
import re
import subprocess
import tokenize
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.observability import declared
from tests.stack import ROOT

# In names, and instead of each: its term.
NAMES: Mapping[str, str] = {
    **dict.fromkeys(("tell", "tells", "told", "telling"), "record, report, notify"),
    **dict.fromkeys(("answer", "answers", "answered", "answering"), "reply, response"),
    # As of a lock, a call or content; a holding is what an investor owns.
    **dict.fromkeys(("hold", "holds", "held", "holder"), "lock, block, have"),
    **dict.fromkeys(("patience", "giveup"), "timeout, deadline"),
    **dict.fromkeys(("piece", "pieces"), "process, item, chunk"),
    "leash": "parent-death signal",
    **dict.fromkeys(("interceptor", "interceptors"), "middleware"),
    **dict.fromkeys(("coalesced", "grouped"), "DataLoader, group commit"),
    **dict.fromkeys(("revive", "revived"), "renew"),
    "overtaken": "conflict",
    **dict.fromkeys(("tally", "tallies", "tallied", "folding"), "counters, rollup"),
    # The noun; a worker may claim a job, which gives it a lease.
    "claims": "leases",
    "refusals": "throttle",
    "budget": "rate limiter",
    **dict.fromkeys(("preparation", "owed", "unseen"), "startup, pending, ignored"),
    "gate": "fault proxy, checkpoint",
    **dict.fromkeys(("anew", "alike", "room"), "again, the same, module"),
}
# Words of a name that are the field's own.
NAMES_LEFT: Mapping[str, str] = {
    "test_grouped_creates": "creates that share a commit, as gRPC's callers see them",
    "Claims": "what a token says, as RFC 7519 calls it",
}

# In messages and documents: what is looked for, and its term.
TEXT: Mapping[str, str] = {
    r"\b(tell|tells|telling|told)\b": "report, record, say",
    # A reply, as a noun or verb; what is in code, as the collection `answers`, stays.
    r"\banswer(s|ed|ing)?\b": "reply, response, return",
    r"\banew\b": "again",
    r"\balike\b": "the same",
    r"\brooms?\b(?! for)": "module",
    r"\b(patience|gave up|given up|gives up)\b": "timeout, deadline",
    r"\binterceptors?\b": "middleware",
    r"\bleash\b": "parent-death signal",
    r"\b(overtaken|revived?)\b": "conflict, renew",
    r"\b(tally|tallies|tallied)\b": "counters",
}
# A sentence that begins with "What" or "Whoever" and is no question: say the subject.
SUBJECT = re.compile(r"(?:^|[.!:] |\*\*)(What|Whoever) [^?.|]*\.")

_SPAN = re.compile(r"`[^`\n]*`")
_CODE = re.compile(r"```.*?```|`[^`\n]*`|\]\([^)]*\)|<!--.*?-->", re.DOTALL)


def _tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", *patterns], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).exists()]


def words_of(name: str) -> list[str]:
    """Of `snake_case` or `CamelCase`, in lower case."""
    found = re.findall(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+", name)
    return [word.lower() for word in found]


def _names() -> Iterator[tuple[str, str]]:
    for path in _tracked("*.py"):
        place = str(path.relative_to(ROOT))
        yield place, path.stem
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{place}:{node.lineno}", node.name
    for metric in declared.series():
        yield "metrics", metric


def _code() -> Iterator[tuple[str, ast.AST, str]]:
    for path in _tracked("server/*.py", "sandbox/*.py", "clients/python/src/*.py", "codegen/*.py"):
        text = path.read_text()
        yield str(path.relative_to(ROOT)), ast.parse(text), text


def _documented(tree: ast.AST) -> dict[int, ast.Constant]:
    """Docstrings, by the identity of their node."""
    return {
        id(node.value): node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }


def _messages() -> Iterator[tuple[str, str]]:
    for path, tree, _ in _code():
        documented = _documented(tree)
        for node in ast.walk(tree):
            if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
                continue
            # One word alone is a name, of a collection or a field.
            if id(node) not in documented and " " in node.value.strip():
                yield f"{path}:{node.lineno}", node.value


def _comments() -> Iterator[tuple[str, str]]:
    for path, tree, text in _code():
        for node in _documented(tree).values():
            words = " ".join(re.sub(_SPAN, "", str(node.value)).split())
            yield f"{path}:{node.lineno}", words
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                yield f"{path}:{token.start[0]}", re.sub(_SPAN, "", token.string.lstrip("# "))


def _documents() -> Iterator[tuple[str, str]]:
    for path in _tracked("*.md"):
        text = re.sub(_CODE, lambda found: "\n" * found[0].count("\n"), path.read_text())
        for number, line in enumerate(text.splitlines(), 1):
            yield f"{path.relative_to(ROOT)}:{number}", line
    for path in _tracked("protos/*.proto"):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if "//" in line:
                comment = re.sub(_CODE, "", line.partition("//")[2].strip())
                yield f"{path.relative_to(ROOT)}:{number}", comment


def _show(count: str) -> None:
    print(count)  # noqa: T201 - for whoever runs it with -s


def _wrong_texts(texts: list[tuple[str, str]]) -> list[str]:
    wrong = [
        f"{place}: {found[0]!r}: say {term}"
        for place, text in texts
        for pattern, term in TEXT.items()
        if (found := re.search(pattern, text, re.IGNORECASE))
    ]
    wrong += [
        f"{place}: {found[0]!r}: say the subject"
        for place, text in texts
        if (found := SUBJECT.search(text))
    ]
    return wrong


def test_names_are_the_projects_terms() -> None:
    names = list(_names())
    wrong = [
        f"{place} {name}: {word!r}: say {NAMES[word]}"
        for place, name in names
        for word in words_of(name)
        if word in NAMES and name not in NAMES_LEFT
    ]
    _show(f"{len(names)} names, {len(wrong)} wrong")
    assert wrong == []
    assert NAMES_LEFT.keys() <= {name for _, name in names}, "no longer needed"


def test_messages_are_in_the_projects_terms() -> None:
    messages = list(_messages())
    wrong = _wrong_texts(messages)
    _show(f"{len(messages)} messages, {len(wrong)} wrong")
    assert wrong == []


def test_comments_are_in_the_projects_terms() -> None:
    comments = list(_comments())
    wrong = _wrong_texts(comments)
    _show(f"{len(comments)} docstrings and comments, {len(wrong)} wrong")
    assert wrong == []


def test_documents_are_in_the_projects_terms() -> None:
    lines = list(_documents())
    wrong = _wrong_texts(lines)
    _show(f"{len(lines)} lines of documents, {len(wrong)} wrong")
    assert wrong == []


def test_wrong_words_are_found() -> None:
    assert words_of("HTTPAnswer_isTold2") == ["http", "answer", "is", "told"]
    assert len(_wrong_texts([("here", "What changes something is told anew.")])) == 3
    assert _wrong_texts([("here", "There is room for a question: What is it?")]) == []
