"""The owner of a directory: it lends, settles, and keeps the arena's rows at the ledger's last change.

What keeps this right when the process is killed between any two steps:

- a lease is in the ledger before its cell is opened, so every cell belongs to a lease that can be found;
- a cell is closed before what it was lent from is lowered, and its totals are final from then on;
- totals are absolute, so a successor settles the same numbers again;
- changes are published in the order of their numbers, so the arena's number says what it lacks.

A successor compares the cells with the leases (`adoption`) and finishes what was begun. The owner holds its
parts, each given what it needs: `leases` and `rows` over the arena, `settling`, `adoption`, `notify`,
`asking` with what is due (`plan_changes`, `segments`), and `background`, which runs their steps."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, Final

from fastcheck.clock import Clock
from fastcheck.errors import CatalogError, FastcheckError, ProtocolError
from fastcheck.host.changes import Ring
from fastcheck.host.embedded.adoption import SETTLE_MS, Adoption
from fastcheck.host.embedded.arena import Arena, CellTotals, Given, LateReturn, Mapped, UsageRecord
from fastcheck.host.embedded.asking import Asking
from fastcheck.host.embedded.background import Background
from fastcheck.host.embedded.leases import SPENT_MAX, Leases
from fastcheck.host.embedded.notify import LoadCourier, Notifier
from fastcheck.host.embedded.rows import Rows
from fastcheck.host.embedded.settling import Settling
from fastcheck.hub.background.clock_watch import ClockWatch
from fastcheck.hub.service import Service
from fastcheck.wire.by import ANYBODY, By
from fastcheck.wire.catalog import CatalogLike
from fastcheck.wire.operation import Answer, Request
from fastcheck.wire.operations.catalog import SetCatalog

log = logging.getLogger("fastcheck.owner")

NOTES_MAX = 32


class Owner:
    """The owning side of one directory. The caller holds the owner's lock."""

    def __init__(
        self,
        service: Service,
        make_arena: Callable[[CatalogLike], Arena],
        clock: Clock,
        *,
        manual_time: bool = False,
        load_courier: LoadCourier | None = None,
    ) -> None:
        """`make_arena` adopts or makes the arena under a catalog.
        `manual_time`: holds end by `clock` too, and not by the machine's.
        `load_courier` loads what sends webhooks; None: they are left to others."""
        self.ring: Final = Ring(clock.now_ms() * 1_000)
        self.notes: list[str] = []
        """What an operator should know."""
        self._service: Final = service
        self._clock: Final = clock
        self.mapped: Final = Mapped(make_arena)
        self.leases: Final = Leases(service, self.mapped, clock)
        self.rows: Final = Rows(service, self.mapped, clock, self.ring)
        self.settling: Final = Settling(service, self.mapped, self.leases, manual_time=manual_time)
        self._adoption: Final = Adoption(service, self.mapped, self.leases, self.rows, self._note)
        self._notifier: Final = Notifier(service, clock, self.ring, self.leases, load_courier, self._note)
        self._asking: Final = Asking(
            service, clock, self.ring, self.leases, self.rows, self.settling, self._notifier, self._note
        )
        self._watch: Final = ClockWatch(service, clock, self._note)
        self._background: Final = Background(
            service,
            self.mapped,
            clock,
            self.leases,
            self.rows,
            self._adoption,
            self.settling,
            self._asking.moves,
            self._asking.parts,
            self._notifier,
            self._watch,
            manual_time=manual_time,
        )

    def _note(self, text: str, grave: bool = True) -> None:
        log.log(logging.WARNING if grave else logging.INFO, "%s", text)
        self.notes = [*self.notes[-NOTES_MAX + 1 :], text]

    def start(self, given: Given | None) -> None:
        """Adopts the directory: settles what a predecessor left, takes the catalog, fills the rows."""
        self._watch.begin()
        catalog = self._service.load_catalog()
        if catalog is None:
            if given is None:
                raise CatalogError(["there is no catalog yet: open the directory with catalog=…"])
            self._service.ask(SetCatalog(given.source, given.filename))
            catalog = given.catalog
        self._service.epochs.epoch()
        arena = self.mapped.make(catalog)
        self._adoption.reconcile()
        if given is not None and given.catalog.digest != catalog.digest:
            self.ask(SetCatalog(given.source, given.filename))
        elif self.rows.behind or not arena.adopted:
            self.rows.load()
        else:
            self.rows.catch_up()
        self._asking.moves.look_ahead()
        self._asking.parts.find()
        self._asking.moves.round()
        self._notifier.begin()
        self._background.show_life(self._clock.now_ms())

    # What other processes ask.

    def ask(self, request: Request[Answer], by: By = ANYBODY) -> Answer:
        """As `Asking.ask`."""
        return self._asking.ask(request, by)

    def touch(self, customer: str, pool: str) -> bool:
        """Lends what a host needs for a customer's pool. True: try again; False: there is no such account."""
        self._asking.moves.before_lending(customer)
        return self.leases.touch(customer, pool)

    def prewarm(self, wanted: Sequence[tuple[str, str | None]]) -> int:
        """As `Leases.prewarm`."""
        return self.leases.prewarm(wanted)

    def pools_behind(self, feature: str | None) -> list[str]:
        """As `Leases.pools_behind`."""
        return self.leases.pools_behind(feature)

    def call(self, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
        """Runs what is no operation. Raises `ProtocolError` for what is not offered."""
        offered = _OFFERED.get(method)
        if offered is None:
            raise ProtocolError(
                f"there is no request {method!r:.40}: use the same version of fastcheck everywhere"
            )
        return offered(self, *args, **kwargs)

    # What goes on by itself.

    def tick(self) -> None:
        """One round of what goes on by itself."""
        self._background.round()

    def next_end(self) -> int | None:
        """When the next lease reaches its end, or the next move is due."""
        ends = (self.leases.next_end(), self._asking.moves.next_at)
        return min((one for one in ends if one is not None), default=None)

    def close(self) -> None:
        """Settles a last time. Cells stay open for the next owner, and for those who go on spending."""
        if not self.mapped.there:
            return
        self._notifier.end()
        try:
            self.settling.settle()  # It may renew a lease, so the arena is given up after it.
        except FastcheckError as error:
            log.warning("the last settlement is left to the next owner: %s", error)
        finally:
            self.mapped.close()


_OFFERED: dict[str, Callable[..., object]] = {
    one.__name__: one for one in (Owner.touch, Owner.prewarm, Owner.pools_behind)
}

__all__ = ["SETTLE_MS", "SPENT_MAX", "Arena", "CellTotals", "Given", "LateReturn", "Owner", "UsageRecord"]
