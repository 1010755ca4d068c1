"""What a session has its shell do (`session.py`), and what the shell brings back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol, TypeAlias


class Snapshot(NamedTuple):
    """A snapshot's file that was opened for a session."""

    epoch: int
    seq: int
    digest: int
    customers: int
    size: int
    """Bytes of the file."""
    at_ms: int
    """When it was taken."""


class FoundRecords(Protocol):
    """The answer of the ledger to `Find`."""

    @property
    def epoch(self) -> int: ...
    @property
    def seq(self) -> int: ...
    @property
    def missing(self) -> Sequence[str]: ...
    @property
    def records(self) -> bytes: ...


# Actions.


class Send(NamedTuple):
    """Write these bytes to the socket."""

    data: bytes


class Greeted(NamedTuple):
    """The host said who it is: another connection of the same host ends now."""

    host: str


class Look(NamedTuple):
    """Have the tail look for changes; then `looked`."""


class Enter(NamedTuple):
    """Take a place; then `admitted`, or `turned_away`."""

    cost: int


class Leave(NamedTuple):
    """Give the place back, and the snapshot if there is one."""


class ReadLog(NamedTuple):
    """Read changes after `seq`; then `log_read`, or `failed`."""

    seq: int


class OpenSnapshot(NamedTuple):
    """Open a snapshot; then `snapshot_opened`, or `failed`."""


class ReadPiece(NamedTuple):
    """Read `size` bytes of the snapshot at `offset`; then `piece_read`, or `failed`."""

    offset: int
    size: int


class Find(NamedTuple):
    """Look customers up; then `found`, or `failed`."""

    keys: tuple[str, ...]


class Tell(NamedTuple):
    """Count this, and log it."""

    what: str
    """`ahead`: the host knows more than the ledger, which was put back from a backup. `digest`: what it has
    is not what the ledger has. `full`: it gets everything. `nack`: it refused something."""
    detail: str


class End(NamedTuple):
    """Close the socket, once what was written is sent."""

    code: str
    """Of the goodbye, for counting; "" where the host ended it."""


Action: TypeAlias = (
    Send | Greeted | Look | Enter | Leave | ReadLog | OpenSnapshot | ReadPiece | Find | Tell | End
)
Actions: TypeAlias = Sequence[Action]
