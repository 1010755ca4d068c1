"""What administrators do, with the cells it concerns closed before and lent anew after."""

from __future__ import annotations

from collections.abc import Sequence

from fastcheck.host.embedded.adoption import Adoption
from fastcheck.hub.service import Totals
from fastcheck.wire.by import ANYBODY, By
from fastcheck.wire.requests import PutCustomer, PutOverride


class Changes(Adoption):
    """Changes of customers, overrides, grants and the catalog; balances to this moment."""

    def put_customers(self, requests: Sequence[PutCustomer], by: By = ANYBODY) -> int:
        """Makes customers what the requests say; how many changed."""
        with self._publication():
            changing = self._service.changing(requests)
            with self._stripes.hold(changing):
                keys = [key for number in changing for key in self._keys_of(number)]
                finals = self._close(keys)
                try:
                    changed = self._service.put_customers(requests, finals=finals, by=by)
                    self._publish(changed, "customer_changed")
                finally:
                    if keys:
                        self._reopen(keys, finals)
        return sum(len(one.ids) for one in changed)

    def delete_customer(self, customer: str, by: By = ANYBODY) -> None:
        """Removes a customer."""
        with self._publication():
            number = self._service.number_of(customer)

            def change(finals: Sequence[Totals]) -> None:
                deleted = self._service.delete_customer(customer, finals=finals, by=by)
                self._publish([deleted], "customer_deleted")

            with self._stripes.hold([number]):
                self._lowering(number, None, change)

    def put_override(self, request: PutOverride, by: By = ANYBODY) -> None:
        """Makes an exception for one customer."""
        with self._publication():
            number = self._service.number_of(request.customer)
            pool = self._pool_of(request.feature)

            def change(finals: Sequence[Totals]) -> None:
                changed = self._service.put_override(request, finals=finals, by=by)
                self._publish([changed], "customer_changed")

            with self._stripes.hold([number]):
                self._lowering(number, pool, change)

    def remove_override(self, customer: str, feature: str, by: By = ANYBODY) -> bool:
        """Ends an exception; whether there was one."""
        with self._publication():
            number = self._service.number_of(customer)

            def change(finals: Sequence[Totals]) -> bool:
                changed = self._service.remove_override(customer, feature, finals=finals, by=by)
                if changed is not None:
                    self._publish([changed], "customer_changed")
                return changed is not None

            with self._stripes.hold([number]):
                return self._lowering(number, self._pool_of(feature), change)

    def _pool_of(self, feature: str) -> str:
        """The pool whose lease an override of a feature concerns; "" for one that has none."""
        one = self._service.product.features.get(feature)
        return "" if one is None or one.pool is None else one.pool
