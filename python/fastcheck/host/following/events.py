"""What a message of the hub comes to: the events that `Stream.receive` gives and a replica applies, in
order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from fastcheck.wire.frames import Have


@dataclass(frozen=True, slots=True)
class BeginFull:
    """A snapshot follows. Until its `CompleteFull` nothing of it is visible."""

    snapshot_bytes: int
    """Of the file; 0 for a host on demand, which fetches what it holds anew."""
    customers: int


@dataclass(frozen=True, slots=True)
class PieceCame:
    """The next part of the snapshot's file; offsets are in order and within its size."""

    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class CompleteFull:
    """The snapshot is complete and counts. `catalog`: for a host on demand, whose snapshot has no file."""

    at: Have
    at_ms: int
    catalog: tuple[bytes, str] | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One change: its records, and where it brings the ledger."""

    records: bytes
    at: Have


@dataclass(frozen=True, slots=True)
class Apply:
    """One change, or several without a catalog that become visible together."""

    steps: tuple[Step, ...]
    """At least one, without a gap."""
    catalog: tuple[bytes, str] | None
    """(source, filename) of a catalog that is in force from this change on; its records come after it."""
    at_ms: int
    """When the ledger stored the last."""

    @property
    def records(self) -> bytes:
        """All records, in the order of the changes: of two of one customer the later one counts."""
        return b"".join(step.records for step in self.steps)

    @property
    def size(self) -> int:
        """Bytes of the records."""
        return sum(len(step.records) for step in self.steps)

    @property
    def at(self) -> Have:
        """After the last change."""
        return self.steps[-1].at


@dataclass(frozen=True, slots=True)
class Fresh:
    """What was given so far is all that the hub had at `hub_at_ms`, by its clock."""

    hub_at_ms: int


@dataclass(frozen=True, slots=True)
class FoundCustomers:
    """The answer to a want, as of change `seq`."""

    id: int
    seq: int
    keys: tuple[str, ...]
    """What was asked for."""
    missing: tuple[str, ...]
    """Those of `keys` that are nobody's."""
    records: bytes


@dataclass(frozen=True, slots=True)
class Ended:
    """The conversation is over: the hub said goodbye, or was not heard for too long."""

    code: str
    detail: str
    retry_after_ms: int = 0


Event: TypeAlias = BeginFull | PieceCame | CompleteFull | Apply | Fresh | FoundCustomers | Ended
