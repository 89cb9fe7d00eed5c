"""Files that Envoy serves by itself: for everybody, from memory, and nothing but those."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from server.edge import pages as envoy_pages
from server.edge.certificates import development_certificate
from server.edge.errors import StartError
from server.edge.limits import Limits
from server.edge.pages import APPLICATION, STYLED, Page, about, console, pages_of
from server.edge.tls import Tls
from tests.e2e.users_errors import failed
from tests.edge.edge_stack import HOUR_MS, EdgeStack, edge_stack
from tests.edge.test_headers import SECURITY
from tests.edge.test_tls import trusting
from tests.stack import ROOT, free_ports

SCRIPT = secrets.token_hex(1 << 20)  # far above the listener's buffers
CONSOLE = {
    "index.html": "<!doctype html><title>Console</title>",
    "favicon.svg": "<svg xmlns='http://www.w3.org/2000/svg'/>",
    "assets/index-B1a2C3.js": SCRIPT,
    "assets/index-D4e5F6.css": "body { margin: 0 }",
    "assets/text-G7h8I9.woff2": "font",
}
KEPT = {
    name: SECURITY[name] for name in SECURITY.keys() - {"cache-control", "content-security-policy"}
}
USER = "/api/v1/users/someone"


def built(root: Path) -> Path:
    for name, text in CONSOLE.items():
        file = root / "dist" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root / "dist"


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EdgeStack]:
    """With a built console, over HTTP and HTTPS."""
    folder = tmp_path_factory.mktemp("edge")
    tls = Tls(rest=development_certificate(folder / "tls"))
    with edge_stack(
        folder, Limits(enabled=False), tls, pages=list(console(built(folder)))
    ) as opened:
        yield opened


@pytest.mark.parametrize(
    ("path", "name", "media_type"),
    [
        ("/console", "index.html", "text/html; charset=utf-8"),
        ("/console/", "index.html", "text/html; charset=utf-8"),
        ("/console/?tab=users", "index.html", "text/html; charset=utf-8"),
        ("/console/index.html", "index.html", "text/html; charset=utf-8"),
        ("/console/favicon.svg", "favicon.svg", "image/svg+xml"),
        ("/console/assets/index-B1a2C3.js", "assets/index-B1a2C3.js", "text/javascript; charset=utf-8"),
        ("/console/assets/index-D4e5F6.css", "assets/index-D4e5F6.css", "text/css; charset=utf-8"),
        ("/console/assets/text-G7h8I9.woff2", "assets/text-G7h8I9.woff2", "font/woff2"),
    ],
)  # fmt: skip
def test_what_a_path_returns(edge: EdgeStack, path: str, name: str, media_type: str) -> None:
    with httpx.Client(verify=trusting(edge), http2=True) as client:
        over_https = client.get(f"https://localhost:{edge.tls_port}{path}")
    for reply in (httpx.get(edge.rest + path), over_https):
        assert reply.status_code == 200
        assert reply.text == CONSOLE[name]
        assert reply.headers["content-type"] == media_type
        assert reply.headers.get_list("content-security-policy") == [APPLICATION]
        hashed = name.startswith("assets/")
        kept = "public, max-age=31536000, immutable" if hashed else "no-cache"
        assert reply.headers.get_list("cache-control") == [kept]
        assert {header: reply.headers[header] for header in KEPT} == KEPT


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *((method, "/console/") for method in ("POST", "PUT", "DELETE", "PATCH")),
        *(("GET", path) for path in ("/consoles", "/console/x", "/console/assets", "/console/dist")),
        ("GET", "/console/assets/../../envoy.yaml"),
    ],
)  # fmt: skip
def test_other_verbs_and_paths_find_nothing(edge: EdgeStack, method: str, path: str) -> None:
    reply = httpx.request(method, edge.rest + path)
    assert reply.status_code == 404
    assert failed(reply).code == "ROUTE_NOT_FOUND"
    assert reply.headers["content-security-policy"] == SECURITY["content-security-policy"]


def test_pages_are_not_limited_and_use_up_nothing(tmp_path: Path) -> None:
    limits = Limits(calls={"overall": 1}, window_ms=HOUR_MS)
    with edge_stack(tmp_path, limits, pages=list(console(built(tmp_path)))) as edge:
        found = [httpx.get(f"{edge.rest}/console/") for _ in range(5)]
        assert {reply.status_code for reply in found} == {200}
        assert not any(name.startswith("x-ratelimit") for name in found[0].headers)
        assert not edge.seen, "no page reaches a server"
        assert [httpx.get(edge.rest + USER).status_code for _ in range(2)] == [200, 429]


def test_a_service_of_shared_limits_is_not_asked_about_pages(tmp_path: Path) -> None:
    limits = Limits(service=f"127.0.0.1:{free_ports(1)[0]}")
    with edge_stack(tmp_path, limits, pages=list(console(built(tmp_path)))) as edge:
        for path in ("/console/", "/health"):
            assert httpx.get(edge.rest + path).status_code == 200
        asked = "/stats?filter=cluster.ratelimit.upstream_cx_total"
        assert edge.admin(asked).strip().endswith(": 0")
        assert httpx.get(edge.rest + USER).status_code == 200
        assert not edge.admin(asked).strip().endswith(": 0")


def test_without_a_build_the_console_says_how_to_build_it(tmp_path: Path) -> None:
    with edge_stack(tmp_path, pages=list(console(tmp_path))) as edge:
        for path in ("/console", "/console/"):
            reply = httpx.get(edge.rest + path)
            assert reply.status_code == 200
            assert "make console" in reply.text
            assert "script-src" not in reply.headers["content-security-policy"]
        assert httpx.get(f"{edge.rest}/console/index.html").status_code == 404


def test_the_console_learns_which_finlink_it_is(tmp_path: Path) -> None:
    with edge_stack(tmp_path, pages=[about(ROOT, "test", tmp_path / "about.json")]) as edge:
        reply = httpx.get(f"{edge.rest}/console/about.json")
        document = yaml.safe_load((ROOT / "docs" / "openapi.yaml").read_text())
        assert reply.json() == {"environment": "test", "version": document["info"]["version"]}
        assert reply.headers["cache-control"] == "no-cache"
    with pytest.raises(StartError, match="make protos"):
        about(tmp_path, "test", tmp_path / "about.json")


def test_a_missing_file_is_reported_before_anything_starts(tmp_path: Path) -> None:
    page = Page("/gone", tmp_path / "gone.html")
    with pytest.raises(StartError, match=r"gone\.html is missing; it is served as /gone\."):
        envoy_pages.add({}, [page])


def test_the_document_and_the_page_that_shows_it(tmp_path: Path) -> None:
    with edge_stack(tmp_path, pages=pages_of(ROOT)) as edge:
        document = httpx.get(f"{edge.rest}/openapi.yaml")
        assert document.text == (ROOT / "docs" / "openapi.yaml").read_text()
        assert document.headers["content-type"] == "application/yaml"
        same = httpx.get(f"{edge.rest}/openapi.json")
        assert same.headers["content-type"] == "application/json"
        assert same.json() == yaml.safe_load(document.text)
        for path in ("/docs", "/docs/"):
            page = httpx.get(edge.rest + path)
            assert page.headers["content-security-policy"] == STYLED
            asked = re.findall(r'(?:src|href)="(/[^"]+)"', page.text)
            assert "/docs/rapidoc.js" in asked
            for each in asked:
                reply = httpx.get(edge.rest + each)
                assert reply.status_code == 200
                assert "octet-stream" not in reply.headers["content-type"]


def test_the_root_leads_to_all_pages(tmp_path: Path) -> None:
    with edge_stack(tmp_path, Limits(enabled=False), pages=pages_of(ROOT)) as edge:
        start = httpx.get(edge.rest + "/")
        assert start.status_code == 200
        assert start.headers["content-security-policy"] == envoy_pages.ALONE
        links = re.findall(r'href="([^"]+)"', start.text)
        assert {"/docs", "/console/", "/openapi.yaml", "/health"} <= set(links)
        assert [httpx.get(edge.rest + link).status_code for link in links] == [200] * len(links)
