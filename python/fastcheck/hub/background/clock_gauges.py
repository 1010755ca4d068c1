"""What `/metrics` reads of a hub's clock at each scrape."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.core import GaugeMetricFamily, Metric

from fastcheck.clock import Clock
from fastcheck.directory.clock import reading


def gauges(clock: Clock) -> Iterable[Metric]:
    """The figures of a clock, as it is now."""
    found = reading(clock)
    yield GaugeMetricFamily(
        "fastcheck_hub_clock_doubted",
        "1 where the machine's clock stepped ahead and accounts do not follow it yet",
        value=int(found.doubted),
    )
    yield GaugeMetricFamily(
        "fastcheck_hub_clock_ahead_seconds",
        "How far the machine's clock is ahead of the ledger's time",
        value=max(0, found.wall - found.now) / 1_000,
    )
