"""What was measured, what it should be, and whether it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Sense = Literal["at most", "at least", "exactly", "no target"]


@dataclass(frozen=True)
class Figure:
    """One row of the table."""

    group: str
    what: str
    value: float
    unit: str
    """`x` for a ratio; else `ns`, `ms`, `s`, `bytes`, `/s`."""
    target: float | None = None
    sense: Sense = "at most"
    ns: float | None = None
    """The absolute time behind a ratio. Ratios travel between machines, nanoseconds do not."""
    note: str = ""

    @property
    def met(self) -> bool | None:
        """None: there is no target to meet."""
        if self.target is None:
            return None
        if self.sense == "at least":
            return self.value >= self.target
        if self.sense == "exactly":
            return self.value == self.target
        return round(self.value, 2) <= self.target

    @property
    def verdict(self) -> str:
        return {None: "", True: "met", False: "MISSED"}[self.met]

    @property
    def shown(self) -> str:
        return shown(self.value, self.unit)

    @property
    def shown_target(self) -> str:
        if self.target is None:
            return ""
        sign = {"at most": "≤ ", "at least": "≥ "}.get(self.sense, "")
        return sign + shown(self.target, self.unit)


def shown(value: float, unit: str) -> str:
    """A value with as many digits as it deserves."""
    if unit == "x":
        return f"{value:.2f}×"
    if unit == "/s":
        return f"{value / 1000:,.0f}k/s"
    if unit == "units":
        return f"{value:,.0f}"
    return f"{value:.3g} {unit}" if abs(value) < 100 else f"{value:,.0f} {unit}"


def duration(ns: float) -> str:
    """Nanoseconds, or milliseconds where there are many."""
    return shown(ns, "ns") if ns < 1e6 else shown(ns / 1e6, "ms")
