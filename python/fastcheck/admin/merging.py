"""Two customers who are one."""

from __future__ import annotations

from fastcheck.admin.base import AdminBase
from fastcheck.wire.operations.merging import MergeCustomers


class MergingAdmin(AdminBase):
    """Customers who were made twice."""

    def merge(self, customer: str, *, into: str, reason: str = "") -> bool:
        """Makes one customer of two. False if they are one already.

        Grants made by hand, purchases, top-ups, refunds, and what an offer gave once and was paid for move to
        `into`, with what is left of them, their terms and their price, as grants with ids such as
        `merge:CUSTOMER/GRANT`. The plan, trial and add-ons of `into` stay; those of `customer` end. What
        `customer` used in periods that run counts against the plan of `into`, and so do meters. What was owed
        is owed by `into`. The id and the aliases of `customer` become aliases of `into`; their overrides,
        segments, caps, top-up rules and moves end. `customer` is deleted, and cannot be restored.

        Raises `UnknownCustomer`, `Conflict` (a customer into itself), `RecordError` (more aliases than one
        customer has).

        >>> ents.admin.put_customer("acme_twice", plan="free")
        True
        >>> ents.admin.merge("acme_twice", into="acme", reason="signed up twice")
        True
        >>> ents.admin.get_customer("acme_twice").id
        'acme'
        """
        return self._ask(MergeCustomers(customer, into), reason).changed
