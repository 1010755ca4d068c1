"""What is answered about the ledger's clock. Instants are ms since 1970."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ClockState:
    """The ledger's time, and what the machine's clock shows."""

    now: int
    """The ledger's time."""
    wall: int
    """What the machine's clock shows."""
    guarded: bool
    """Whether steps are doubted: there is a boot clock to see them by. Not so of a clock that the application
    gave."""
    doubted: bool
    """Whether the machine's clock stepped ahead by more than an hour, and accounts do not follow it yet."""
    taken_at: int | None
    """When it is believed if it stays so, by the ledger's time; None: nothing is doubted."""


@dataclass(frozen=True)
class PartOfRepair:
    """What one part of a repair did."""

    accounts: int
    """Accounts that were brought back."""
    moves: tuple[str, ...]
    """With the first part: ids of moves that were carried out before their instant, at most 1,000. They
    stand."""
    customers: tuple[str, ...]
    """With the first part: ids of customers whose record was changed while the clock was ahead, at most
    1,000. Records stand, and count from the repair on."""
    cursor: str | None
    """Asks for the next part; None: that was all."""


@dataclass(frozen=True)
class ClockRepair:
    """What a repair did."""

    accounts: int
    """Accounts that were brought back."""
    moves: tuple[str, ...]
    """Ids of moves that were carried out before their instant, at most 1,000. They stand: move the customers
    back."""
    customers: tuple[str, ...]
    """Ids of customers whose record was changed while the clock was ahead, at most 1,000. Records stand, and
    count from the repair on; a customer who came then has a `since` of the wrong time."""
