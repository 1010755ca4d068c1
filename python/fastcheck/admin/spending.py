"""Refunds, caps, and what is held or burned at the hub itself."""

from __future__ import annotations

from fastcheck.admin.base import AdminBase
from fastcheck.amounts import Credits
from fastcheck.wire.answers import ReservationState, SpendCap
from fastcheck.wire.fields import Instant, at_ms
from fastcheck.wire.operations.caps import ListCaps, PutCap, RemoveCap
from fastcheck.wire.operations.refunds import Refund
from fastcheck.wire.operations.reservations import Commit, Debit, Release, Reserve


class SpendingAdmin(AdminBase):
    """What bounds spending, and what spends without a host."""

    def refund(
        self,
        customer: str,
        pool: str,
        amount: Credits,
        *,
        event: str | None = None,
        id: str | None = None,
        reason: str = "",
        expires_at: Instant | None = None,
    ) -> str:
        """Gives used credits back as a grant of kind `refund`, which pays what is owed first; its id. What
        was used stays used. Never more than the net use of the pool less what was refunded before; with
        `event` (that of a usage record) nor more than that record's amount less its earlier refunds.

        With an `id`, asking again changes nothing; it is `refund:<event>` unless said, so a second part of
        one event needs an id of its own. Raises `AmountError` (says how much can be refunded),
        `UnknownCustomer`, `UnknownPool`, `Conflict` (the id exists with other terms; no such event).

        >>> ents.consume("acme", "gpt-4o", 12, event="req_8f2")
        True
        >>> ents.admin.refund("acme", "ai_credits", 5, event="req_8f2", reason="the answer was cut off")
        'refund:req_8f2'
        >>> balance = ents.admin.balance("acme", "ai_credits")
        >>> balance.remaining, balance.used
        (49993, 12)
        >>> ents.admin.refund("acme", "ai_credits", 7, event="req_8f2", id="the rest of req_8f2")
        'the rest of req_8f2'
        """
        asked = Refund(customer, pool, amount, event, id, at_ms(expires_at, "expires_at"), reason)
        return self._ask(asked, reason).id

    def put_cap(
        self,
        customer: str,
        pool: str,
        amount: Credits,
        *,
        per: str = "day",
        key: str | None = None,
        reason: str = "",
    ) -> SpendCap:
        """At most `amount` per "hour", "day" or "month" (calendar, UTC), whatever was granted. Another amount
        keeps what was counted; a new cap counts from now on. Checks and burns keep it exactly, in every
        process. With `key` (an API key, a project) it bounds only `debit` and `reserve` that name the key.

        Raises `AmountError`, `RecordError`, `UnknownCustomer`, `UnknownPool`.

        >>> ents.admin.put_cap("acme", "ai_credits", 100, per="day").spent
        0
        >>> ents.consume("acme", "gpt-4o", 90), ents.consume("acme", "gpt-4o", 11)
        (True, False)
        >>> ents.consume("acme", "gpt-4o", 10)
        True
        """
        return self._ask(PutCap(customer, pool, per, amount, key, reason), reason)

    def remove_cap(
        self, customer: str, pool: str, *, per: str | None = None, key: str | None = None, reason: str = ""
    ) -> bool:
        """Ends a customer's caps, or those of a key: of one window, or of all; False if there were none.

        >>> cap = ents.admin.put_cap("acme", "ai_credits", 0)
        >>> ents.consume("acme", "gpt-4o")
        False
        >>> ents.admin.remove_cap("acme", "ai_credits"), ents.consume("acme", "gpt-4o")
        (True, True)
        """
        return self._ask(RemoveCap(customer, pool, per, key), reason).removed

    def list_caps(self, customer: str) -> list[SpendCap]:
        """A customer's caps, with what was spent of them to this moment.

        >>> cap = ents.admin.put_cap("acme", "ai_credits", 100, per="month")
        >>> ents.consume("acme", "gpt-4o", 12)
        True
        >>> [(cap.per, cap.amount, cap.spent) for cap in ents.admin.list_caps("acme")]
        [('month', 100, 12)]
        """
        return list(self._ask(ListCaps(customer)).items)

    def reserve(
        self,
        customer: str,
        pool: str,
        amount: Credits,
        *,
        ttl_ms: int = 60_000,
        id: str | None = None,
        key: str | None = None,
    ) -> ReservationState:
        """Holds credits of a pool at the hub for `ttl_ms` (a week at most); false where they are not all
        there. Where a host has the customer, its own `reserve` is a thousand times faster: this one is for
        the last credits and for who has no host. With an `id`, asking again changes nothing.

        Raises `AmountError`, `InstantError`, `UnknownCustomer`, `UnknownPool`, `Conflict` (the id exists with
        other terms).

        >>> held = ents.admin.reserve("acme", "ai_credits", 49_990)
        >>> ents.consume("acme", "gpt-4o", 11), bool(held)
        (False, True)
        >>> ents.admin.reserve("acme", "ai_credits", 11).left
        10
        """
        return self._ask(Reserve(customer, pool, amount, ttl_ms, id, key))

    def commit(self, id: str, amount: Credits) -> ReservationState:
        """Burns what was used of a reservation at the hub and gives up the rest; 0 gives up all. More than
        was held is burned as far as it is there, overdraft included; after the expiry, all of it is so. The
        first of commit and release wins; again with the same amount changes nothing.

        Raises `UnknownReservation`, `AmountError`, `Conflict` (released, committed with another amount, or
        not all there: says how much can be burned; the reservation stays).

        >>> held = ents.admin.reserve("acme", "ai_credits", 100)
        >>> ents.admin.commit(held.id, 30).state
        'committed'
        >>> ents.admin.balance("acme", "ai_credits").remaining
        49970
        """
        return self._ask(Commit(id, amount))

    def release(self, id: str) -> ReservationState:
        """Gives up a reservation at the hub; again, or after its expiry, changes nothing. Raises
        `UnknownReservation`, `Conflict` (it was committed).

        >>> held = ents.admin.reserve("acme", "ai_credits", 50_000)
        >>> ents.admin.release(held.id).state, ents.consume("acme", "gpt-4o")
        ('released', True)
        """
        return self._ask(Release(id))

    def debit(
        self,
        customer: str,
        pool: str,
        amount: Credits,
        *,
        event: str | None = None,
        id: str | None = None,
        key: str | None = None,
    ) -> ReservationState:
        """Burns credits of a pool at the hub, all or none; false where they are not all there. With an `id`
        (default `debit:<event>`) asking again changes nothing. Raises as `reserve`.

        >>> bool(ents.admin.debit("acme", "ai_credits", 12, event="batch_7"))
        True
        >>> ents.admin.debit("acme", "ai_credits", 12, event="batch_7").id
        'debit:batch_7'
        >>> ents.admin.balance("acme", "ai_credits").used
        12
        """
        return self._ask(Debit(customer, pool, amount, event, id, key))
