"""Deletions undone, and ids freed."""

from __future__ import annotations

from fastcheck.admin.base import AdminBase
from fastcheck.wire.answers import Customer, DeletedCustomer, Page
from fastcheck.wire.operations.deletions import FreeId, ListDeleted, RestoreCustomer


class DeletionsAdmin(AdminBase):
    """Deleted customers."""

    def restore(self, id: str, *, without_aliases: bool = False, reason: str = "") -> Customer:
        """Undoes the deletion of a customer within 30 days, as if it had not been: plan, add-ons, trial,
        aliases, overrides, segments, caps, top-up rules, moves ahead and every grant. Periods that turned and
        moves that were due meanwhile count.

        Aliases that have become another customer's are a `Conflict` that names them; `without_aliases` leaves
        them out. Holds are not brought back.

        Raises `UnknownCustomer` (no such id, or 30 days are over), `Conflict` (the customer is there, because
        somebody restored them or put the id again), `RecordError` (the catalog has lost what they had).

        >>> ents.admin.delete_customer("tiny")
        >>> ents.admin.restore("tiny", reason="by mistake").plan
        'free'
        """
        return self._ask(RestoreCustomer(id, without_aliases), reason)

    def list_deleted(self, cursor: str | None = None, limit: int = 100) -> Page[DeletedCustomer]:
        """Deleted customers who can still be restored, the oldest deletion first; `page.cursor` asks for the
        rest.

        >>> ents.admin.delete_customer("tiny", reason="left")
        >>> [(one.id, one.reason) for one in ents.admin.list_deleted().items]
        [('tiny', 'left')]
        """
        return self._ask(ListDeleted(cursor, limit))

    def free_id(self, id: str, *, reason: str = "") -> None:
        """Takes the id from a deleted customer: it names nobody then, and a customer who is put under it is a
        new one, with nothing. The deleted one cannot be restored any more. What they had and used stays in
        exports and in the ledger under the id `freed:ID:NUMBER`, which also asks about their past
        (`get_customer`, `explain` and `balance` with `at`); their own id does not any more.

        Raises `UnknownCustomer`, `Conflict` for a customer who is not deleted.

        >>> ents.admin.delete_customer("tiny")
        >>> ents.admin.free_id("tiny")
        """
        self._ask(FreeId(id), reason)
