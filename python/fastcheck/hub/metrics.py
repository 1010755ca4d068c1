"""What can be scraped at `/metrics`. A registry of its own, so that several hubs can live in one test."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from fastcheck.wire.frames import CODES

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)


class Metrics:
    """Counters, and what is read at each scrape."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        registry = self._registry
        self.goodbyes = Counter(
            "fastcheck_hub_goodbyes", "Streams that the hub ended", ["code"], registry=registry
        )
        self.nacks = Counter("fastcheck_hub_nacks", "Updates that hosts refused", ["code"], registry=registry)
        self.fulls = Counter(
            "fastcheck_hub_full_transfers", "Hosts that were sent everything", registry=registry
        )
        self.digests = Counter(
            "fastcheck_hub_digest_mismatches", "Hosts whose digest was another", registry=registry
        )
        self.aheads = Counter(
            "fastcheck_hub_hosts_ahead",
            "Hosts that knew of changes that the ledger does not have",
            registry=registry,
        )
        self.denied = Counter("fastcheck_hub_denied", "Denied attempts", ["reason"], registry=registry)
        self.sent = Histogram(
            "fastcheck_hub_commit_to_sent_seconds",
            "From a change's commit to its being written to the sockets",
            buckets=_SECONDS,
            registry=registry,
        )
        self.requests = Histogram(
            "fastcheck_hub_request_seconds",
            "HTTP requests",
            ["method", "route", "status"],
            buckets=_SECONDS,
            registry=registry,
        )

    def told(self, what: str, detail: str) -> None:
        """Counts what a session noticed (`actions.Tell`)."""
        if what == "full":
            self.fulls.inc()
        elif what == "digest":
            self.digests.inc()
        elif what == "ahead":
            self.aheads.inc()
        else:
            code = detail.partition(" ")[0]
            # Codes come from hosts: an unknown one is not a label.
            self.nacks.labels(code if code in CODES else "other").inc()

    def watch(self, read: Callable[[], Iterable[Metric]]) -> None:
        """Reads these at each scrape."""
        self._registry.register(_Live(read))

    def text(self) -> bytes:
        """In the text format."""
        return generate_latest(self._registry)


class _Live(Collector):
    def __init__(self, read: Callable[[], Iterable[Metric]]) -> None:
        self._read = read

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterable[Metric]:
        return self._read()
