"""Settling everything that is out, for who wants to read the ledger whole."""

from __future__ import annotations

import heapq

from fastcheck.host.embedded.arena import Key
from fastcheck.host.embedded.leases import LEASES_PER_TRANSACTION
from fastcheck.host.embedded.rounds import Rounds
from fastcheck.hub.service import Totals
from fastcheck.wire.cursor import cursor_of, place_of


class Settling(Rounds):
    """What hosts were lent, settled in pages."""

    def settle_held(self, cursor: str | None = None) -> str | None:
        """Settles a page of open leases to this moment, and lends anew those whose end has come. The next
        cursor; None: that was all. Raises `RecordError` for a cursor that no page gave."""
        number, pool = place_of(cursor, (0, ""))
        after: Key = (number, pool)
        with self._leases_lock:
            keys = heapq.nsmallest(LEASES_PER_TRANSACTION, (key for key in self._held if key > after))
        if not keys:
            return None
        now = self._clock.now_ms()
        with self._stripes.hold({number for number, _ in keys}):
            held = {key: self._held[key] for key in keys if key in self._held}
            ended = [key for key, one in held.items() if self._ended(one, now)]
            if ended:
                self._reopen(ended, self._close(ended))
            totals: list[Totals] = []
            for key in held:
                found = self._totals(key)
                if found is not None:
                    totals.append(found)
            self._service.settle(totals)
        return cursor_of(keys[-1]) if len(keys) == LEASES_PER_TRANSACTION else None
