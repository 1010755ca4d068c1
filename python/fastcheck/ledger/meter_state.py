"""Measuring one delivery at a time, with the results of `meters.measure`."""

from __future__ import annotations

from dataclasses import replace

from fastcheck.ledger.meters import (
    Correction,
    Delivery,
    Measured,
    Meter,
    Reading,
    Refused,
    Share,
    about_of,
    correction_of,
    earlier,
    fold,
    read,
    refusal,
    shares,
    worth,
)


class MeterState:
    """`measure`, one delivery at a time. An `add` costs no more as a period fills; asking for a period
    folds its shares for aggregations that are not additive."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._about: dict[str, Delivery] = {}
        self._readings: dict[str, Reading] = {}
        self._brought: dict[int, dict[str, Share]] = {}
        self._totals: dict[int, Measured] = {}
        self._refused: dict[str, Refused] = {}

    def add(self, delivery: Delivery) -> Refused | None:
        """Counts a delivery; why not, if it is refused. Raises `Conflict`; then nothing is changed."""
        id, about = delivery.body.id, about_of(delivery)
        if (no := refusal(self._meter, delivery)) is not None:
            self._refused[id] = no
            return no
        first = earlier(self._about.get(id), delivery)
        if first is self._about.get(id):
            return None if id == about else self._too_late(id, about)
        old = self._readings.get(about, Reading())
        new = old.merge(read(delivery))
        self._about[id], self._readings[about] = delivery, new
        for share in shares(self._meter, old)[0]:
            self._take(share)
        for share in shares(self._meter, new)[0]:
            self._bring(share)
        return None if id == about else self._too_late(id, about)

    def merge(self, other: MeterState) -> None:
        """Counts all that another state of the same meter has counted. Again: no change. Raises `Conflict` at
        the first contradiction; what came before it is counted."""
        for delivery in other._about.values():
            self.add(delivery)
        self._refused |= other._refused

    def measured(self) -> dict[int, Measured]:
        """Every period that something was brought to, by its start."""
        return {start: self.period(start) for start in sorted(self._brought)}

    def period(self, start: int) -> Measured:
        """One period; nothing where nothing was brought."""
        if self._meter.aggregation.additive:
            return self._totals.get(start, Measured())
        return fold(self._meter.aggregation, self._brought.get(start, {}).values())

    def refused(self) -> tuple[Refused, ...]:
        """What counts nowhere, in the order of ids. What was refused once and accepted later is not among
        it."""
        found = {id: one for id, one in self._refused.items() if id not in self._about}
        for reading in self._readings.values():
            found |= {one.id: one for one in shares(self._meter, reading)[1]}
        return tuple(found[id] for id in sorted(found))

    def waiting(self) -> tuple[Correction, ...]:
        """Corrections whose event has not arrived, in the order of ids."""
        found = [
            correction_of(one) for r in self._readings.values() if r.event is None for one in r.corrections
        ]
        return tuple(sorted(found, key=lambda one: one.id))

    def _too_late(self, id: str, about: str) -> Refused | None:
        return next((one for one in shares(self._meter, self._readings[about])[1] if one.id == id), None)

    def _bring(self, share: Share) -> None:
        self._brought.setdefault(share.period_start, {})[share.id] = share
        self._count(share, 1)

    def _take(self, share: Share) -> None:
        of_period = self._brought[share.period_start]
        del of_period[share.id]
        self._count(share, -1)
        if not of_period:
            del self._brought[share.period_start], self._totals[share.period_start]

    def _count(self, share: Share, sign: int) -> None:
        was = self._totals.get(share.period_start, Measured())
        if share.adjustment:
            moved = sign * share.units
            now = replace(was, units=was.units + moved, adjusted=was.adjusted + moved)
        else:
            units = was.units + sign * worth(self._meter, share.units)
            now = replace(was, units=units, events=was.events + sign, late=was.late + sign * share.late)
        self._totals[share.period_start] = now
