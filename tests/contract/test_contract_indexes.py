"""Every index that a module declares is made before a worker serves."""

from __future__ import annotations

import importlib
import pkgutil

import server
from server.settings import load
from server.startup import indexes


def declared() -> set[str]:
    """Collections that some module has `INDEXES` for."""
    modules = [
        importlib.import_module(module.name)
        for module in pkgutil.walk_packages(server.__path__, "server.")
        if not module.name.endswith("__main__")
    ]
    return {name for module in modules for name in getattr(module, "INDEXES", {})}


def test_all_are_made() -> None:
    found = declared()
    assert found >= {"connectors", "records", "audit_events"}
    assert found <= indexes(load(_env_file=None)).keys()
