"""Purchases: add-ons that are sold once, each bought for itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

from fastcheck.errors import WrongType
from fastcheck.wire.answers import Page
from fastcheck.wire.fields import (
    Called,
    Credits,
    Cursor,
    CustomerKey,
    Flag,
    Kind,
    Limit,
    Name,
    Note,
    Paid,
    PoolName,
    Told,
)
from fastcheck.wire.names import text_within
from fastcheck.wire.operation import Operation, Repeat, Request, Touches
from fastcheck.wire.operations.customers import Quantity
from fastcheck.wire.purchase_answers import PurchaseRefund, PurchaseState

PURCHASE_ID_BYTES_MAX: Final = 256
"""Of a purchase's id: the ids of its grants begin with it, and have the bound of any name."""


def _id(value: object, what: str) -> str:
    """Checks an id. Raises `WrongType`, `NameInvalid`."""
    if not isinstance(value, str):
        raise WrongType(f"{what} must be a str, not {type(value).__name__}")
    return text_within(value, what, PURCHASE_ID_BYTES_MAX, empty=False)


PurchaseId = Annotated[
    str, Kind(_id, schema={"maxLength": PURCHASE_ID_BYTES_MAX, "minLength": 1}, called="a purchase's id")
]
AddonName = Annotated[Name, Called("an add-on"), Told(("credit_pack",))]


@dataclass(frozen=True)
class BuyAddon(Request[PurchaseState]):
    """Buys an add-on with `sold: once`: for each of its lines one grant, from the payment on. With an `id` or
    an Idempotency-Key, asking again changes nothing."""

    customer: CustomerKey
    addon: AddonName
    quantity: Quantity = 1
    id: PurchaseId | None = None
    """Your own, under which asking again changes nothing."""
    pending: Flag = False
    """Whether it is ordered and not paid yet: it grants nothing before it is."""
    price: Annotated[Paid, Called("price")] | None = None
    """What is paid for all of it. Default: what the catalog says, times the quantity."""
    reason: Note = ""


@dataclass(frozen=True)
class PayPurchase(Request[PurchaseState]):
    """Grants a purchase that was pending, from now on; again changes nothing."""

    id: PurchaseId


@dataclass(frozen=True)
class RefundPurchase(Request[PurchaseRefund]):
    """Takes back what is not used of a purchase, and says how much money that is."""

    id: PurchaseId
    amount: Credits | None = None
    """Credits to take back; null: all that is not used."""
    pool: PoolName | None = None
    """The pool of `amount`, where the purchase has grants in several."""
    reason: Note = ""


@dataclass(frozen=True)
class ChargeBack(Request[PurchaseState]):
    """Takes a purchase back whose payment was taken back: what is left is gone, what was used of it is owed;
    again changes nothing."""

    id: PurchaseId
    reason: Note = ""


@dataclass(frozen=True)
class GetPurchase(Request[PurchaseState]):
    """A purchase and what is left of it."""

    id: PurchaseId


@dataclass(frozen=True)
class ListPurchases(Request[Page[PurchaseState]]):
    """A customer's purchases, oldest first."""

    customer: CustomerKey
    cursor: Cursor | None = None
    limit: Limit = 100


_CHANGES = ("purchases.write", Touches.LOWERS)
"""A purchase may have grants in several pools: leases are closed around it, and lent anew."""

OPERATIONS = (
    Operation(BuyAddon, "POST", "/customers/{customer}/purchases", *_CHANGES, Repeat.NAMES, id_prefix="p"),
    Operation(PayPurchase, "POST", "/purchases/{id}/payment", *_CHANGES, Repeat.NAMES),
    Operation(RefundPurchase, "POST", "/purchases/{id}/refunds", *_CHANGES, Repeat.KEYED),
    Operation(ChargeBack, "POST", "/purchases/{id}/charge_back", *_CHANGES, Repeat.NAMES),
    Operation(GetPurchase, "GET", "/purchases/{id}", "purchases.read", Touches.SETTLED),
    Operation(ListPurchases, "GET", "/customers/{customer}/purchases", "purchases.read", Touches.SETTLED),
)
