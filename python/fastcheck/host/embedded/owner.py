"""The owner of a directory: it lends, settles, and keeps the arena's rows at the ledger's last change.

What keeps this right when the process is killed between any two steps:

- a lease is in the ledger before its cell is opened, so every cell belongs to a lease somebody can find;
- a cell is closed before what it was lent from is lowered, and its totals are final from then on;
- totals are absolute, so whoever comes next settles the same numbers again;
- changes are published in the order of their numbers, so the arena's number says what it lacks.

A successor compares the cells with the leases (`_reconcile`) and finishes what was begun.

A class a file, each on top of the one before: `leases`, `rows`, `restored`, `adoption`, `changes`, `notify`,
`rounds`, `settling`, `asking`, `Owner`. Beside them, held by the owner and given what they need: `recall`,
`plan_changes`, `segments`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastcheck.errors import CatalogError, ProtocolError
from fastcheck.host.embedded.adoption import SETTLE_MS
from fastcheck.host.embedded.arena import Arena, CellTotals, Given, LateReturn, UsageRecord
from fastcheck.host.embedded.asking import Asking
from fastcheck.host.embedded.leases import SPENT_MAX
from fastcheck.hub.service import Service


class Owner(Asking):
    """The owning side of one directory. The caller holds the owner's lock."""

    def start(self, given: Given | None) -> None:
        """Adopts the directory: settles what a predecessor left, takes the catalog, fills the rows."""
        catalog = self._service.load_catalog()
        if catalog is None:
            if given is None:
                raise CatalogError(["there is no catalog yet: open the directory with catalog=…"])
            self._service.set_catalog(given.catalog, given.source, given.filename)
            catalog = given.catalog
        self._service.epoch()
        self._arena = self._make_arena(catalog)
        self._reconcile()
        if given is not None and given.catalog.digest != catalog.digest:
            self.set_catalog(given)
        elif self._behind or not self._arena.adopted:
            self._load()
        else:
            self._catch_up()
        self.moves.look_ahead()
        self.parts.find()
        self.moves.round()
        self._begin_telling()
        self._show_life(self._arena, self._clock.now_ms())

    def call(self, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
        """Runs a request. Raises `ProtocolError` for one that is not offered."""
        own = _OWN.get(method)
        if own is not None:
            return own(self, *args, **kwargs)
        reading = _READING.get(method)
        if reading is not None:
            return reading(self._service, *args, **kwargs)
        raise ProtocolError(
            f"there is no request {method!r:.40}: use the same version of fastcheck everywhere"
        )


_OWN: dict[str, Callable[..., object]] = {
    one.__name__: one
    for one in (
        Owner.touch, Owner.prewarm, Owner.pools_behind,
        Owner.grant, Owner.void, Owner.balance, Owner.balance_history, Owner.list_grants,
        Owner.explain, Owner.settle_held, Owner.epoch, Owner.restored,
        Owner.put_webhook, Owner.delete_webhook, Owner.replay_delivery, Owner.replay_dead, Owner.put_top_up,
    )
}  # fmt: skip
_READING: dict[str, Callable[..., object]] = {
    one.__name__: one
    for one in (
        Service.audit, Service.list_usage, Service.list_events, Service.book_due,
        Service.finance_cut, Service.finance_movements, Service.finance_usage, Service.finance_sums,
        Service.check, Service.check_pools, Service.pools,
        Service.meter_usage, Service.correct_usage, Service.metered,
        Service.list_webhooks, Service.rotate_webhook_secret, Service.list_deliveries,
        Service.remove_top_up, Service.list_top_ups,
    )
}  # fmt: skip

__all__ = ["SETTLE_MS", "SPENT_MAX", "Arena", "CellTotals", "Given", "LateReturn", "Owner", "UsageRecord"]
