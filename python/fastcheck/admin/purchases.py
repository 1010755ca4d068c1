"""Purchases."""

from __future__ import annotations

from fastcheck.admin.base import AdminBase, cursor_of
from fastcheck.amounts import Credits
from fastcheck.wire.answers import Page
from fastcheck.wire.operations.purchases import (
    BuyAddon,
    ChargeBack,
    GetPurchase,
    ListPurchases,
    PayPurchase,
    RefundPurchase,
)
from fastcheck.wire.purchase_answers import PurchaseRefund, PurchaseState


class PurchasesAdmin(AdminBase):
    """What customers bought."""

    def buy(
        self,
        customer: str,
        addon: str,
        quantity: int = 1,
        *,
        id: str | None = None,
        pending: bool = False,
        price: tuple[int, str] | None = None,
        reason: str = "",
    ) -> PurchaseState:
        """Buys an add-on that the catalog sells once (`sold: once`), as often as it is asked for: each
        purchase has grants of its own, with their own start, end and price. With an `id` of your own, asking
        again changes nothing. `pending`: it is ordered and not paid yet; it grants nothing before
        `pay_purchase`. `price`: what is paid for all of it in minor units, (1999, "EUR"); default what the
        catalog says, times the quantity.

        Raises `UnknownCustomer`, `RecordError` (the catalog does not sell it so, or not to this customer, or
        not so many at once), `AmountError`, `WrongType`, `NameInvalid`, `Conflict` (the id exists with other
        terms).

        >>> bought = ents.admin.buy("acme", "credit_pack", 2, id="order_17")
        >>> bought.state, bought.price, bought.grants[0].remaining
        ('paid', (3998, 'USD'), 4000)
        """
        return self._ask(BuyAddon(customer, addon, quantity, id, pending, price, reason), reason)

    def pay_purchase(self, id: str, *, reason: str = "") -> PurchaseState:
        """Grants what was ordered as `pending`, from now on; again changes nothing. Raises `UnknownPurchase`,
        `AmountError`, `Conflict` (it was charged back).

        >>> ents.admin.buy("acme", "credit_pack", id="order_17", pending=True).grants
        ()
        >>> ents.admin.pay_purchase("order_17").state
        'paid'
        """
        return self._ask(PayPurchase(id), reason)

    def refund_purchase(
        self, id: str, amount: Credits | None = None, *, pool: str | None = None, reason: str = ""
    ) -> PurchaseRefund:
        """Takes back what is not used of a purchase, or `amount` credits of it (of which pool, says `pool`
        where the purchase has grants in several), and says how much of the price is to be paid back for it.
        Each call is a refund of its own: ask under a key (`once`) where it may be repeated.

        Raises `UnknownPurchase`, `AmountError` (more than is left), `RecordError` (of which pool?),
        `UnknownPool`, `WrongType`, `Conflict` (nothing is left, it is pending, or was charged back).

        >>> bought = ents.admin.buy("acme", "credit_pack", id="order_17")
        >>> ents.admin.refund_purchase("order_17", 500).money
        (499, 'USD')
        >>> refund = ents.admin.refund_purchase("order_17", reason="unused")
        >>> refund.money, refund.purchase.refunded, refund.purchase.grants[0].remaining
        ((1500, 'USD'), (1999, 'USD'), 0)
        """
        return self._ask(RefundPurchase(id, amount, pool, reason), reason)

    def charge_back(self, id: str, *, reason: str = "") -> PurchaseState:
        """Takes a purchase back whose payment was taken back. What is left of it is gone; what was used of it
        is owed, and other grants pay it, or the next. Again changes nothing. Raises `UnknownPurchase`,
        `Conflict` (it was never paid).

        >>> bought = ents.admin.buy("tiny", "credit_pack", id="order_17")
        >>> used = ents.admin.debit("tiny", "ai_credits", 300)
        >>> ents.admin.charge_back("order_17", reason="disputed").state
        'charged_back'
        >>> ents.admin.balance("tiny", "ai_credits").overage
        300
        """
        return self._ask(ChargeBack(id, reason), reason)

    def get_purchase(self, id: str) -> PurchaseState:
        """A purchase, and what is left of its grants. Raises `UnknownPurchase`.

        >>> bought = ents.admin.buy("acme", "credit_pack", id="order_17", reason="web shop")
        >>> ents.admin.get_purchase("order_17").reason
        'web shop'
        """
        return self._ask(GetPurchase(id))

    def list_purchases(
        self, customer: str, cursor: str | None = None, limit: int = 100
    ) -> Page[PurchaseState]:
        """A customer's purchases, oldest first, a page at a time. Raises `UnknownCustomer`.

        >>> bought = ents.admin.buy("acme", "credit_pack", id="order_17")
        >>> [(one.id, one.addon, one.quantity) for one in ents.admin.list_purchases("acme").items]
        [('order_17', 'credit_pack', 1)]
        """
        return self._ask(ListPurchases(customer, cursor_of(cursor), limit))
