"""What the HTTP API answers with where the library itself answers with a bare number, bool or tuple.
Instants are ms since 1970."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from fastcheck.wire.answers import Move, Problem
from fastcheck.wire.json import Wide
from fastcheck.wire.record import SettingValue


@dataclass(frozen=True)
class Changed:
    """Whether a change was needed."""

    changed: bool
    """False if it was so already."""


@dataclass(frozen=True)
class Removed:
    """Whether there was something to remove."""

    removed: bool


@dataclass(frozen=True)
class Count:
    """How many were concerned."""

    count: int


@dataclass(frozen=True)
class Ids:
    """Customers' ids, in the order of the keys that were asked for."""

    ids: tuple[str, ...]


@dataclass(frozen=True)
class PartOfSegment:
    """What one part of a change of a segment did. The hub goes on by itself; who wants to see the end asks to
    continue while parts are left."""

    count: int
    """Members that came or went; of an exception, 1 where it changed."""
    left: bool
    """Whether there are more parts."""


@dataclass(frozen=True)
class PartOfMoves:
    """What one part of a change of plans did; 500 customers are one part."""

    moves: tuple[Move, ...]
    after: int | None
    """Ask again with this for the next part; None: that was all."""


@dataclass(frozen=True)
class FeatureCheck:
    """What a check of one use of a feature answers; true where it is allowed."""

    customer: str
    feature: str
    kind: str
    """Of the feature, as in the catalog: switch, for one."""
    at: int
    value: SettingValue | Decimal
    """What the customer has of it; None = unlimited."""
    source: str
    """override, trial, addon, plan or default."""
    allowed: bool
    reason: str
    """allowed, not_entitled or exhausted."""

    def __bool__(self) -> bool:
        return self.allowed


@dataclass(frozen=True)
class CatalogText:
    """The catalog in force, as it was put."""

    source: bytes
    filename: str
    digest: str


@dataclass(frozen=True)
class CatalogEffect:
    """What a catalog would do to one line of an offer, or to an offer as a whole."""

    offer: str
    """Such as `plan pro version 1` or `add-on pack`."""
    line: str | None
    """The line's identity in the ledger; None: the offer as a whole."""
    what: str
    """In words."""
    customers: int
    """How many customers it concerns."""
    example: str | None
    """One of them."""


@dataclass(frozen=True)
class CatalogCheck:
    """What would become of a catalog that is put in force."""

    problems: tuple[str, ...]
    """What it would be refused for; empty where it would be taken."""
    effects: tuple[CatalogEffect, ...]
    """What it would do to the grants of plans and add-ons; empty where its text cannot be read, or where
    there is no catalog yet."""
    more: int = 0
    """How many effects are not listed, of which there are at most 1,000."""


@dataclass(frozen=True)
class LedgerPosition:
    """Where the ledger is."""

    epoch: Wide
    """It changes when an older backup is put in the ledger's place; numbers of another epoch mean nothing."""
    seq: int
    """The number of the last change."""


class Quantity(NamedTuple):
    """A part of a use."""

    name: str
    count: int  # type: ignore[assignment]  # Over the method of tuples: the API calls it so.


class UsageRecord(NamedTuple):
    """A use that a host recorded."""

    at: int
    event: str
    customer: str
    feature: str
    units: int
    """Of the pool that it spent, each 10^-scale of a credit."""
    quantities: tuple[Quantity, ...]


class UsageCorrection(NamedTuple):
    """A correction of a usage event."""

    place: int
    """Counts up; the newest counts."""
    at: int
    units: int | None
    """None: the event never was."""


class MeteredEvent(NamedTuple):
    """A use that was metered elsewhere, with its corrections."""

    id: str
    at: int
    received_at: int
    units: int
    subject: str | None
    corrections: tuple[UsageCorrection, ...]


@dataclass(frozen=True)
class CheckedAccounts:
    """A page of accounts that were looked at."""

    problems: tuple[Problem, ...]
    accounts: int
    cursor: str | None
    """Asks for the next page; None: that was all."""


@dataclass(frozen=True)
class Booked:
    """A page of what is due was booked."""

    cursor: str | None
    """Asks for the next page; None: that was all."""


class Scale(NamedTuple):
    """A pool's decimal digits."""

    pool: str
    scale: int


class Spends(NamedTuple):
    """Which pool a feature spends."""

    feature: str
    pool: str


@dataclass(frozen=True)
class Export:
    """The moment as of which an export reads the ledger. What is booked later is not seen."""

    id: str
    """Names the moment in the paths of its pages."""
    since: int
    until: int
    """Exclusive."""
    at: int
    """When everything due had been booked."""
    place: int
    """Of the last posting."""
    record: int
    """Of the last usage record."""
    pools: tuple[Scale, ...]
    features: tuple[Spends, ...]


class Movement(NamedTuple):
    """A posting of the ledger. Units are 10^-scale of the pool's credit."""

    number: int
    """Of the customer; it stays theirs for good."""
    pool: str
    place: int
    """Counts up over the whole ledger."""
    customer: str | None
    at: int
    booked_at: int
    grant: str | None
    grant_kind: str | None
    source: str
    """The account it was taken from, as docs/finance.md names them."""
    target: str
    units: int
    cost_units: int | None
    """For how many units the next is paid."""
    cost: int | None
    """In minor units of the currency."""
    currency: str | None


class ExportedUse(NamedTuple):
    """A usage record of the exported period."""

    number: int
    record: int
    customer: str
    at: int
    feature: str
    units: int


@dataclass(frozen=True)
class PostingSum:
    """Postings of one kind, added up."""

    earlier: bool
    """Whether they are before the exported period."""
    pool: str
    source: str
    target: str
    units: int
    count: int


@dataclass(frozen=True)
class UsageSum:
    """Usage records of one feature, added up."""

    feature: str
    units: int
    count: int


@dataclass(frozen=True)
class ExportSums:
    """The ledger's own sums of a part of an export, to compare its rows with."""

    postings: tuple[PostingSum, ...]
    records: tuple[UsageSum, ...]
