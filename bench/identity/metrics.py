"""What Finlink's own metrics say of a while."""

from __future__ import annotations

import math
import urllib.request
from collections import Counter
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

from bench.stacks import Stack

_READS = "finlink_cached_responses_total"
_COMMANDS = "finlink_mongodb_command_seconds_bucket"


@dataclass(frozen=True)
class Figures:
    reads: Counter[str]  # by outcome
    commands: Counter[float]  # by the seconds that they did not exceed

    def __sub__(self, before: Figures) -> Figures:
        reads = {key: count - before.reads[key] for key, count in self.reads.items()}
        commands = {key: count - before.commands[key] for key, count in self.commands.items()}
        return Figures(Counter(reads), Counter(commands))

    @property
    def hits_percent(self) -> float:
        return round(100 * self.reads["hit"] / max(1, self.reads.total()), 1)

    def command_ms(self, percent: float) -> float:
        """The upper end of the bucket in which this percentile of commands lies."""
        wanted = self.commands[math.inf] * percent / 100
        return min(upper for upper, count in self.commands.items() if count >= wanted) * 1000


def read(stack: Stack) -> Figures:
    """Of all workers."""
    address = f"http://127.0.0.1:{stack.metrics_port}/metrics"
    with urllib.request.urlopen(address, timeout=10) as reply:
        text = reply.read().decode()
    figures = Figures(Counter(), Counter())
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == _READS:
                figures.reads[sample.labels["outcome"]] += int(sample.value)
            elif sample.name == _COMMANDS:
                figures.commands[float(sample.labels["le"])] += int(sample.value)
    return figures
