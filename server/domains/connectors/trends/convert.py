"""Trends as the contract's messages; pure."""

from itertools import starmap

from finlink.connectors.v1 import trend_pb2 as pb
from finlink_words import CONNECTION_STATUSES

from server.domains.connectors.trends.model import Counts, Trends
from server.rpc.times import timestamp


def trends(value: Trends) -> pb.ConnectorTrends:
    points = [
        pb.TrendPoint(at=timestamp(each.at), platforms=starmap(_platform, each.platforms.items()))
        for each in value.points
    ]
    return pb.ConnectorTrends(step_seconds=int(value.step.total_seconds()), points=points)


def _platform(name: str, counts: Counts) -> pb.PlatformTrend:
    failures = [
        pb.CodeCount(code=code, count=count)
        for code, count in sorted(counts.failures.items(), key=lambda each: (-each[1], each[0]))
    ]
    trend = pb.PlatformTrend(
        platform=name,
        succeeded=counts.succeeded,
        partial=counts.partial,
        failed=counts.failed,
        started=counts.started,
        failures=failures,
    )
    if counts.timed:
        trend.late_seconds_max = counts.late_seconds_max
        trend.late_seconds_mean = counts.late_seconds / counts.timed
    if counts.connections is not None:
        for status in CONNECTION_STATUSES:
            setattr(trend, status, counts.connections.get(status, 0))
    return trend
