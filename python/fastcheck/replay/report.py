"""What a replay counted. Credits are `Decimal`, exact; floats are times and what a person reads."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from fastcheck.replay.assign import Assigned

CURVE_POINTS = 240
"""Instants at which the burn so far is kept: one per three or four pixels of the picture."""


@dataclass(frozen=True)
class Timing:
    """How long the calls took: medians over batches, in nanoseconds per call; None where there was no such
    call.
    """

    loop_s: float
    """Wall time of the whole loop, its own bookkeeping included, s."""
    requests_per_s: float
    """Requests / loop_s."""
    check_ns: float | None
    reserve_ns: float | None
    commit_ns: float | None

    @property
    def burn_ns(self) -> float | None:
        """A burn is a reservation and its commit."""
        if self.reserve_ns is None or self.commit_ns is None:
            return None
        return self.reserve_ns + self.commit_ns


@dataclass
class Line:
    """The totals of one plan or one model."""

    allowed: int = 0
    denied: int = 0
    burned: Decimal = Decimal(0)
    """Credits charged."""
    shortfall: Decimal = Decimal(0)
    """Credits that commits asked for and the balance no longer had."""


@dataclass
class Report:
    """Counts requests as they are answered. `plans` and `models` fix the order of the lines."""

    plans: Sequence[str]
    models: Sequence[str]
    first_ts_ms: int
    last_ts_ms: int
    by_plan: dict[str, Line] = field(init=False)
    by_model: dict[str, Line] = field(init=False)
    reasons: Counter[str] = field(default_factory=Counter)
    """Denied requests by the engine's reason."""
    curve: list[tuple[int, tuple[Decimal, ...]]] = field(default_factory=list)
    """(ts_ms, credits burned before it by each plan), ascending, at most `CURVE_POINTS` + 2."""

    def __post_init__(self) -> None:
        self.by_plan = {plan: Line() for plan in self.plans}
        self.by_model = {model: Line() for model in self.models}
        self._step_ms = max(1, -(-(self.last_ts_ms - self.first_ts_ms) // CURVE_POINTS))
        self._mark_ms = self.first_ts_ms

    def allowed(self, ts_ms: int, has: Assigned, charged: Decimal, shortfall: Decimal) -> None:
        """Counts a request that was served."""
        self._sample(ts_ms)
        for line in (self.by_plan[has.plan], self.by_model[has.model]):
            line.allowed += 1
            line.burned += charged
            line.shortfall += shortfall

    def denied(self, ts_ms: int, has: Assigned, reason: str) -> None:
        """Counts a request that was turned away."""
        self._sample(ts_ms)
        self.reasons[reason] += 1
        self.by_plan[has.plan].denied += 1
        self.by_model[has.model].denied += 1

    def total(self) -> Line:
        """All plans together."""
        lines = self.by_plan.values()
        return Line(
            sum(line.allowed for line in lines),
            sum(line.denied for line in lines),
            sum((line.burned for line in lines), Decimal(0)),
            sum((line.shortfall for line in lines), Decimal(0)),
        )

    def points(self) -> list[tuple[int, tuple[Decimal, ...]]]:
        """The curve with its end: the totals at the last instant."""
        return [*self.curve, (self.last_ts_ms, self._now())]

    def _sample(self, ts_ms: int) -> None:
        if ts_ms >= self._mark_ms:
            self.curve.append((ts_ms, self._now()))
            self._mark_ms = ts_ms + self._step_ms

    def _now(self) -> tuple[Decimal, ...]:
        return tuple(line.burned for line in self.by_plan.values())


def as_json(
    report: Report, timing: Timing, customers: int, setup_s: float, scale: int | None
) -> dict[str, Any]:
    """The report as plain data. Credits are decimal text; `*_units` are integers of 10^-scale credits if it
    is known.
    """

    def line(of: Line) -> dict[str, Any]:
        out: dict[str, Any] = {"allowed": of.allowed, "denied": of.denied}
        for name, credits in (("burned", of.burned), ("shortfall", of.shortfall)):
            out[f"{name}_credits"] = plain(credits)
            if scale is not None:
                out[f"{name}_units"] = units(credits, scale)
        return out

    total = report.total()
    return {
        "requests": total.allowed + total.denied,
        "customers": customers,
        "scale": scale,
        **line(total),
        "denied_by_reason": dict(sorted(report.reasons.items())),
        "plans": {plan: line(of) for plan, of in report.by_plan.items()},
        "models": {model: line(of) for model, of in report.by_model.items()},
        "timing": {
            "setup_s": round(setup_s, 6),
            "loop_s": round(timing.loop_s, 6),
            "requests_per_s": round(timing.requests_per_s, 1),
            "check_ns": timing.check_ns,
            "reserve_ns": timing.reserve_ns,
            "commit_ns": timing.commit_ns,
            "burn_ns": timing.burn_ns,
        },
    }


def units(credits: Decimal, scale: int) -> int:
    """Integer units of 10^-scale credits. Raises `ValueError` rather than round."""
    moved = credits.scaleb(scale)
    if moved != moved.to_integral_value():
        raise ValueError(f"{credits} credits are not whole units at scale {scale}")
    return int(moved)


def plain(credits: Decimal) -> str:
    """Decimal text without exponent and without trailing zeros."""
    text = f"{credits:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
