"""What `/metrics` reads of the stream at each scrape."""

from __future__ import annotations

from collections import Counter as Count
from collections.abc import Iterable

from prometheus_client.core import GaugeMetricFamily, Metric

from fastcheck.hub.stream.connections import Streams
from fastcheck.hub.stream.log_follower import Tail
from fastcheck.hub.stream.snapshot_files import Spool


def gauges(streams: Streams, tail: Tail, spool: Spool) -> Iterable[Metric]:
    """The figures of this process, as they are now."""
    ring, sessions = streams.ring, streams.sessions()
    states = GaugeMetricFamily("fastcheck_hub_hosts", "Hosts by state of their stream", labels=["state"])
    for state, count in Count(session.state.value for session in sessions).items():
        states.add_metric([state], count)
    yield states
    acked = [session.acked for session in sessions if session.acked >= 0]
    newest = spool.newest
    for name, what, value in (
        ("connections", "Connections to the stream, handshakes included", streams.connections),
        ("seq", "The last change that this hub has read", ring.seq),
        (
            "slowest_ack_changes",
            "Changes that the host furthest behind has not acknowledged",
            ring.seq - min(acked, default=ring.seq),
        ),
        (
            "tail_lag_seconds",
            "Since the change log was last read to its end; -1 before the first time",
            -1 if tail.lag_s is None else tail.lag_s,
        ),
        ("ring_bytes", "Bytes of the changes that are kept ready", ring.bytes),
        ("transfers", "Transfers that are going on", streams.admission.transfers),
        ("waiting", "Hosts that wait for a transfer", streams.admission.waiting),
        (
            "snapshot_seq",
            "The change of which the newest snapshot is; -1 without one",
            -1 if newest is None else newest.info.seq,
        ),
        ("snapshot_bytes", "Bytes of the newest snapshot", 0 if newest is None else newest.info.size),
    ):
        yield GaugeMetricFamily(f"fastcheck_hub_{name}", what, value=value)
