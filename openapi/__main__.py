"""Writes docs/openapi.yaml from the contract: `make openapi`."""

from __future__ import annotations

import sys

from openapi.document import PLACE, text
from openapi.examples import ExampleMissing


def main() -> None:
    try:
        new = text()
    except ExampleMissing as error:
        sys.exit(f"openapi: {error}")
    if PLACE.exists() and PLACE.read_text() == new:
        print(f"openapi: {PLACE.name} is as the contract says")
        return
    PLACE.write_text(new)
    print(f"openapi: wrote {PLACE.name}")


if __name__ == "__main__":
    main()
