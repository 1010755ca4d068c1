"""What `admin` answers about purchases. Frozen; amounts are credits; instants are ms since 1970."""

from __future__ import annotations

from dataclasses import dataclass

from fastcheck.amounts import Credits
from fastcheck.wire.answers import GrantState


@dataclass(frozen=True)
class PurchaseState:
    """An add-on that was bought, and what became of it."""

    id: str
    customer: str
    addon: str
    quantity: int
    state: str
    """pending, paid, refunded (in part or whole) or charged_back."""
    price: tuple[int, str] | None
    """What is paid for all of it: (minor units, currency); None: nothing."""
    refunded: tuple[int, str] | None
    """What was paid back of the price so far."""
    created_at: int
    paid_at: int | None
    """From when its grants count; None while it is pending."""
    charged_back_at: int | None
    reason: str
    author: str
    grants: tuple[GrantState, ...]
    """One for each line of the add-on; none while it is pending."""


@dataclass(frozen=True)
class PoolAmount:
    """Credits of a pool."""

    pool: str
    amount: Credits


@dataclass(frozen=True)
class PurchaseRefund:
    """What one refund of a purchase took back."""

    purchase: PurchaseState
    """As it is after it."""
    taken: tuple[PoolAmount, ...]
    """What was taken back of each pool."""
    money: tuple[int, str] | None
    """What is to be paid back for it: (minor units, currency); None where the purchase has no price."""
