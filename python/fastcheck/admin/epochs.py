"""The lives of a ledger."""

from __future__ import annotations

from fastcheck.admin.base import AdminBase
from fastcheck.wire.operations.epochs import BeginEpoch


class EpochsAdmin(AdminBase):
    """What is said of a ledger that was put back from a backup."""

    def restored(self, *, reason: str) -> int:
        """Says that an older backup was put in the ledger's place, where fastcheck cannot notice it because
        the mapped files are gone as well; otherwise it does this by itself. Every lease is closed and booked,
        a new epoch begins, and the audit log says so. The new epoch.

        >>> epoch = ents.admin.restored(reason="the disk died; back to the backup of 02:00")
        >>> ents.admin.audit(limit=1).items[0].action
        'ledger_restored'
        >>> ents.consume("acme", "gpt-4o", 12)
        True
        """
        return int(self._ask(BeginEpoch(reason), reason).epoch)
