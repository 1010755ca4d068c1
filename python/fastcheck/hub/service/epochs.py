"""Which life of the ledger this is, and how another begins."""

from __future__ import annotations

from collections.abc import Iterable

from fastcheck.hub.service.core import Core
from fastcheck.hub.store.statements import AccountKey
from fastcheck.hub.use_cases import epochs
from fastcheck.hub.use_cases.epochs import Beyond


class Epochs:
    """A ledger that was put back from an older backup has another epoch, so that nobody takes it for the one
    they knew."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def epoch(self) -> int:
        """The ledger's epoch, a random number of 62 bits. It changes when an older backup is restored, and
        only then."""
        found = self._core.read(lambda call: call.statements.epoch())
        return (
            self._core.write(lambda call: call.statements.first_epoch(epochs.made_up()))
            if found is None
            else found
        )

    def new_epoch(self, beyond: Beyond) -> int:
        """Begins another epoch, because a host noticed that the ledger was restored; the new one. `beyond`:
        what the host knows that this ledger does not, for the audit log (action `ledger_restored`), and so
        that no number of a change or a customer is given out twice."""
        return self._core.write(lambda call: epochs.renew(call, beyond))

    def last_leases(self, accounts: Iterable[AccountKey]) -> dict[AccountKey, int]:
        """The newest lease of each account: 0 where there was none, -1 where the ledger has not given the
        customer's number yet. Left out: pools that the catalog does not have, customers that were lost with
        an earlier epoch, numbers that nobody can have."""
        wanted = list(accounts)
        return self._core.read(lambda call: epochs.last_leases(call, wanted)) if wanted else {}
