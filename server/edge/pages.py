"""Static pages in Envoy's configuration: a route a file, read when Envoy starts.

Envoy keeps them in memory and opens no file for a caller. Its file server filter, which would, is
still marked as work in progress, outside Envoy's threat model. Pages are for everybody: no API key,
no rate limit.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from server.edge.errors import StartError
from server.edge.parts import part
from server.edge.programs import find_rapidoc

NOT_BUILT = Path(__file__).parents[2] / "console" / "not-built.html"
MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
    ".yaml": "application/yaml",
}
ASK_AGAIN = "no-cache"
FOR_GOOD = "public, max-age=31536000, immutable"
APPLICATION = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# Of RapiDoc, which sets styles on elements.
STYLED = APPLICATION.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")
# Of a page that stands alone: no script, nothing from elsewhere.
ALONE = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


@dataclass(frozen=True)
class Page:
    path: str
    file: Path
    policy: str = APPLICATION  # Content-Security-Policy
    cache: str = ASK_AGAIN

    @property
    def media_type(self) -> str:
        return MEDIA_TYPES.get(self.file.suffix, "application/octet-stream")


def pages_of(root: Path) -> list[Page]:
    """The pages of a checkout, or of an image made of one."""
    start = Page("/", root / "docs" / "page" / "start.html", ALONE)
    return [start, *console(root / "console" / "dist"), *_docs(root), *_account(root)]


def has_console(root: Path) -> bool:
    """Whether a console was built there."""
    return (root / "console" / "dist" / "index.html").is_file()


def about(root: Path, environment: str, target: Path) -> Page:
    """The page with environment and version for the console, written to `target`.

    The version is that of the API's document. Raises StartError if that was not generated.
    """
    document = root / "gen" / "openapi.json"
    try:
        version = json.loads(document.read_bytes())["info"]["version"]
    except OSError:
        raise StartError(f"{document} is missing. Run `make protos`, which generates it.") from None
    target.write_text(json.dumps({"environment": environment, "version": version}))
    return Page("/console/about.json", target)


def add(routes: dict[str, Any], pages: Sequence[Page]) -> None:
    """Add a route for each page to those of the REST listener."""
    for page in pages:
        if not page.file.is_file():
            raise StartError(f"{page.file} is missing; it is served as {page.path}.")
    if not pages:
        return
    largest = max(page.file.stat().st_size for page in pages)
    routes["max_direct_response_body_size_bytes"] = max(4096, largest)
    (host,) = routes["virtual_hosts"]
    # Of paths that begin like no RPC's; the last of them is not found.
    other = host["matcher"]["on_no_match"]["action"]["typed_config"]["routes"]
    other[:0] = [
        part(
            "page",
            path=page.path,
            file=str(page.file),
            media_type=page.media_type,
            policy=page.policy,
            cache=page.cache,
        )
        for page in pages
    ]


def console(built: Path) -> Iterator[Page]:
    """Vite's build of the console; if it was not built, a page that says how."""
    index = built / "index.html"
    if not index.is_file():
        yield from (Page(path, NOT_BUILT, ALONE) for path in ("/console", "/console/"))
        return
    yield from (Page(path, index) for path in ("/console", "/console/"))
    for file in sorted(built.rglob("*")):
        if file.is_file():
            inside = file.relative_to(built)
            # Vite puts a hash of the content into the names of what it made.
            cache = FOR_GOOD if inside.parts[0] == "assets" else ASK_AGAIN
            yield Page(f"/console/{inside.as_posix()}", file, cache=cache)


def _account(root: Path) -> Iterator[Page]:
    """The pages behind the links of mails."""
    folder = root / "docs" / "page" / "account"
    for name in ("verify-email", "reset-password"):
        yield Page(f"/account/{name}", folder / f"{name}.html")
    yield from (Page(f"/account/{name}", folder / name) for name in ("account.css", "account.js"))


def _docs(root: Path) -> Iterator[Page]:
    """The API's document, and the page that shows it."""
    page = root / "docs" / "page"
    yield Page("/openapi.yaml", root / "docs" / "openapi.yaml")
    yield Page("/openapi.json", root / "gen" / "openapi.json")
    yield from (Page(path, page / "index.html", STYLED) for path in ("/docs", "/docs/"))
    files = ("icon.svg", "page.css", "page.js", "session.js")
    yield from (Page(f"/docs/{name}", page / name) for name in files)
    yield Page("/docs/rapidoc.js", find_rapidoc())
