"""What the product declares that it counts."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client.metrics import MetricWrapperBase

from server.observability import metrics

# What the names of a metric's series add to its own.
_SUFFIXES: Mapping[str, tuple[str, ...]] = {
    "counter": ("_total",),
    "gauge": ("",),
    "histogram": ("_bucket", "_count", "_sum"),
}


def series() -> dict[str, set[str]]:
    """The names of the series of each metric."""
    every = [metric for metric in vars(metrics).values() if isinstance(metric, MetricWrapperBase)]
    families = [family for metric in every for family in metric.describe()]
    return {
        family.name: {family.name + suffix for suffix in _SUFFIXES[family.type]}
        for family in families
    }
