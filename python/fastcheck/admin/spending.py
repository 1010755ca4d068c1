"""Refunds, caps, and what is held or burned at the hub itself."""

from __future__ import annotations

from fastcheck.admin.base import AdminBase
from fastcheck.amounts import Credits
from fastcheck.wire import spending_requests as requests
from fastcheck.wire.answers import GrantState, ReservationState, SpendCap
from fastcheck.wire.names import name
from fastcheck.wire.requests import Instant


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
        given = id if id is not None else self._own_id("r") if event is None else f"refund:{event}"
        request = requests.make_refund(
            customer, pool, amount, id=given, event=event, expires_at=expires_at, reason=reason
        )
        state: GrantState = self._call("refund", request, self._by())
        return state.id

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
        request = requests.put_cap(customer, pool, amount, per=per, key=key, reason=reason)
        found: SpendCap = self._call("put_cap", request, self._by())
        return found

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
        window = None if per is None else requests.window(per)
        own = None if key is None else name(key, "key")
        return bool(
            self._call(
                "remove_cap", name(customer, "customer"), name(pool, "pool"), window, own, self._by(reason)
            )
        )

    def list_caps(self, customer: str) -> list[SpendCap]:
        """A customer's caps, with what was spent of them to this moment.

        >>> cap = ents.admin.put_cap("acme", "ai_credits", 100, per="month")
        >>> ents.consume("acme", "gpt-4o", 12)
        True
        >>> [(cap.per, cap.amount, cap.spent) for cap in ents.admin.list_caps("acme")]
        [('month', 100, 12)]
        """
        return list(self._call("list_caps", name(customer, "customer")))

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
        own = id if id is not None else self._own_id("h")
        request = requests.reserve(customer, pool, amount, id=own, ttl_ms=ttl_ms, key=key)
        found: ReservationState = self._call("reserve", request, self._by())
        return found

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
        found: ReservationState = self._call("commit", name(id, "id"), amount, self._by())
        return found

    def release(self, id: str) -> ReservationState:
        """Gives up a reservation at the hub; again, or after its expiry, changes nothing. Raises
        `UnknownReservation`, `Conflict` (it was committed).

        >>> held = ents.admin.reserve("acme", "ai_credits", 50_000)
        >>> ents.admin.release(held.id).state, ents.consume("acme", "gpt-4o")
        ('released', True)
        """
        found: ReservationState = self._call("release", name(id, "id"), self._by())
        return found

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
        own = id if id is not None else self._own_id("d") if event is None else f"debit:{event}"
        request = requests.debit(customer, pool, amount, id=own, key=key, event=event)
        found: ReservationState = self._call("reserve", request, self._by())
        return found
