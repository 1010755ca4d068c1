"""What administrators do, with the cells it concerns closed before and lent anew after."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fastcheck.errors import CatalogError
from fastcheck.host.embedded.adoption import Adoption
from fastcheck.host.embedded.arena import Given
from fastcheck.hub.service import Granted, Totals
from fastcheck.wire.answers import Balance, BalanceWindow, Explanation, GrantState
from fastcheck.wire.by import ANYBODY, By
from fastcheck.wire.requests import MakeGrant


class Changes(Adoption):
    """Changes of grants and the catalog; balances to this moment."""

    def grant(self, request: MakeGrant, by: By = ANYBODY) -> GrantState:
        """Puts an amount into a pool; when this returns, every process of the host can spend it."""
        return self._granted(
            request.customer, request.pool, lambda totals: self._service.grant(request, totals=totals, by=by)
        )

    def _granted(self, customer: str, pool: str, change: Callable[[Totals | None], Granted]) -> GrantState:
        """Makes a grant that somebody asked for, and tells of it."""
        done = self._gaining((self._service.number_of(customer), pool), change)
        self.ring.tell("customer_changed", self._clock.now_ms(), done.grant.customer, pool)
        return done.grant

    def void(self, grant_id: str, by: By = ANYBODY) -> GrantState:
        """Takes back what is left of a grant; when this returns, no process can spend it."""
        number, pool = self._service.account_of(grant_id)

        def change(finals: Sequence[Totals]) -> GrantState:
            return self._service.void(grant_id, finals=finals, by=by)

        with self._stripes.hold([number]):
            state = self._lowering(number, pool, change)
        self.ring.tell("customer_changed", self._clock.now_ms(), state.customer, pool)
        return state

    def set_catalog(self, given: Given, by: By = ANYBODY) -> bool:
        """Puts a catalog in force for every process; False if it already was."""
        problems = self._service.catalog_problems(given.catalog)
        if problems:
            raise CatalogError(problems)
        with self._publication(), self._stripes.hold(None):
            keys = list(self._held)
            finals = self._close(keys)
            try:
                changed = self._service.set_catalog(
                    given.catalog, given.source, given.filename, finals=finals, by=by
                )
                if changed:
                    self._need().close()
                    self._arena = self._make_arena(given.catalog)
                    self._load()
            finally:
                if keys:
                    self._reopen(keys, finals)
        self.ring.tell("catalog_changed", self._clock.now_ms())
        return changed

    def balance(self, customer: str, pool: str, at: int | None = None) -> Balance:
        """What a customer has in a pool, to this moment or at another."""
        self._settle_now(customer, pool, at)
        return self._service.balance(customer, pool, at)

    def balance_history(
        self, customer: str, pool: str, since: int, until: int, every: str = "day"
    ) -> list[BalanceWindow]:
        """What became of a balance, window by window."""
        self._settle_now(customer, pool, until)
        return self._service.balance_history(customer, pool, since, until, every)

    def list_grants(self, customer: str, pool: str | None = None, at: int | None = None) -> list[GrantState]:
        """A customer's grants, to this moment or at another."""
        self._settle_now(customer, pool, at)
        return self._service.list_grants(customer, pool, at)

    def explain(self, customer: str, feature: str, at: int | None = None) -> Explanation:
        """Why a customer has what they have of a feature."""
        self._settle_now(customer, None, at)
        return self._service.explain(customer, feature, at)

    def _settle_now(self, customer: str, pool: str | None, at: int | None) -> None:
        """Books what was used to this moment; the past is booked already."""
        if at is not None and at < self._clock.now_ms():
            return
        number = self._service.number_of(customer)
        with self._stripes.hold([number]):
            totals = [self._totals(key) for key in self._keys_of(number, pool)]
        self._service.settle([one for one in totals if one is not None])
