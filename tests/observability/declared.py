"""What the product declares that it counts: each `metrics.py` of a domain, and those that all share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module

from prometheus_client.metrics import MetricWrapperBase

from tests.stack import ROOT

# What the names of a metric's series add to its own.
_SUFFIXES: Mapping[str, tuple[str, ...]] = {
    "counter": ("_total",),
    "gauge": ("",),
    "histogram": ("_bucket", "_count", "_sum"),
}


def series() -> dict[str, set[str]]:
    """The names of the series of each metric."""
    families = [family for metric in _metrics() for family in metric.describe()]
    return {
        family.name: {family.name + suffix for suffix in _SUFFIXES[family.type]}
        for family in families
    }


def _metrics() -> Iterator[MetricWrapperBase]:
    for path in sorted((ROOT / "server").rglob("metrics.py")):
        module = import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
        for value in vars(module).values():
            if isinstance(value, MetricWrapperBase):
                yield value
