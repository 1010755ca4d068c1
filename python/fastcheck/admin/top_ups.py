"""Automatic top-ups."""

from __future__ import annotations

from fastcheck.admin.base import AdminBase
from fastcheck.amounts import Credits
from fastcheck.wire.event_answers import TopUpState
from fastcheck.wire.operations.top_ups import ListTopUps, PutTopUp, RemoveTopUp


class TopUpsAdmin(AdminBase):
    """Who is topped up by itself."""

    def put_top_up(
        self,
        customer: str,
        pool: str,
        threshold: Credits,
        target: Credits,
        *,
        monthly_cap: Credits | None = None,
        cost: tuple[int, str] | None = None,
        reason: str = "",
    ) -> TopUpState:
        """Tops an account up to `target` whenever its balance comes to `threshold` or below it, at most
        `monthly_cap` in a calendar month (UTC); another rule of the account takes its place, and the month
        goes on. A balance that is low already is topped up at once. Event `topped_up`; where the cap leaves
        less than is needed, `top_up_capped`, and nothing more until the next month.

        `cost`: (minor units, currency) paid for a top-up of `target` credits; a smaller or larger one costs
        in proportion, rounded up. Raises `UnknownCustomer`, `UnknownPool`, `AmountError`, `WrongType`,
        `RecordError` (a meter's pool).

        >>> rule = ents.admin.put_top_up("acme", "ai_credits", 1_000, 5_000, monthly_cap=20_000)
        >>> rule.threshold, rule.topped_up
        (1000, 0)
        >>> rule = ents.admin.put_top_up("acme", "ai_credits", 50_000, 60_000, cost=(900, "EUR"))
        >>> ents.admin.balance("acme", "ai_credits").remaining
        60000
        """
        asked = PutTopUp(customer, pool, threshold, target, monthly_cap, cost, reason)
        return self._ask(asked, reason)

    def remove_top_up(self, customer: str, pool: str, *, reason: str = "") -> bool:
        """Tops an account up no more; False if nothing did. What was granted stays. Raises `UnknownCustomer`.

        >>> rule = ents.admin.put_top_up("acme", "ai_credits", 1_000, 5_000)
        >>> ents.admin.remove_top_up("acme", "ai_credits"), ents.admin.remove_top_up("acme", "ai_credits")
        (True, False)
        """
        return self._ask(RemoveTopUp(customer, pool), reason).removed

    def list_top_ups(self, customer: str | None = None) -> list[TopUpState]:
        """The rules of a customer, or all. Raises `UnknownCustomer`.

        >>> rule = ents.admin.put_top_up("acme", "ai_credits", 1_000, 5_000, reason="as agreed")
        >>> [(one.customer, one.target, one.reason) for one in ents.admin.list_top_ups()]
        [('acme', 5000, 'as agreed')]
        """
        return list(self._ask(ListTopUps(customer)).items)
