"""`meters.measure` for readings that come one after the other: holds a number per period, and of distinct
subjects the subjects. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from fastcheck.ledger.meters import Aggregation, Measured, Meter, Reading, Refused, Share, refusal, shares


@dataclass
class _Period:
    events: int = 0
    late: int = 0
    adjusted: int = 0
    units: int = 0
    subjects: set[str | None] = field(default_factory=set)
    latest: tuple[int, str, int] = (0, "", 0)


class Tally:
    """What a meter measured. Each event is added once, with all its corrections."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._periods: dict[int, _Period] = {}
        self.refused: list[Refused] = []
        """What counts nowhere."""

    def add(self, reading: Reading) -> None:
        """Counts an event and its corrections."""
        if reading.event is None:
            return
        no = refusal(self._meter, reading.event)
        if no is not None:
            self.refused.append(no)
            return
        found, too_late = shares(self._meter, reading)
        self.refused.extend(too_late)
        for one in found:
            self._take(one)

    def _take(self, one: Share) -> None:
        period = self._periods.setdefault(one.period_start, _Period())
        if one.adjustment:
            period.adjusted += one.units
            return
        aggregation = self._meter.aggregation
        period.latest = (
            max(period.latest, (one.at, one.id, one.units)) if period.events else (one.at, one.id, one.units)
        )
        period.events += 1
        period.late += one.late
        if aggregation is Aggregation.SUM:
            period.units += one.units
        elif aggregation is Aggregation.MAX:
            period.units = max(period.units, one.units)
        elif aggregation is Aggregation.UNIQUE:
            period.subjects.add(one.subject)

    def measured(self) -> dict[int, Measured]:
        """Every period that something was brought to, by its start."""
        return {start: self._measured(self._periods[start]) for start in sorted(self._periods)}

    def _measured(self, one: _Period) -> Measured:
        units = {
            Aggregation.COUNT: one.events,
            Aggregation.UNIQUE: len(one.subjects),
            Aggregation.LATEST: one.latest[2],
        }.get(self._meter.aggregation, one.units)
        return Measured(units + one.adjusted, one.events, one.late, one.adjusted)
