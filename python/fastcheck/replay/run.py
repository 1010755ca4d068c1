"""The loop: each request in order is checked for its model, an estimate is reserved, the true amount
committed.

How a request becomes calls:

1. `check(session, model)`; a customer whose plan lacks the model, or with nothing left, is denied here.
2. `reserve(session, model, estimate)`: the prompt is known beforehand (`input` = input - cached tokens,
   `cached`), the answer is not, so `output` is estimated with the same number for every request.
3. `commit(actual)`, with the output of the trace. Less than the estimate: the rest goes back. More: the
   rest is charged as far as the balance goes, and what is missing is the shortfall.

How the calls are timed: a clock read costs as much as a check, so the clock is read around batches. A batch
is the longest run of requests, up to `BATCH_MAX`, in which no session appears twice. Sessions are separate
customers with separate balances, so doing all checks of a batch, then all reservations, then all commits
gives every request the very answers it would get alone, in order. A figure is the median over the batches
of time / calls; it includes the Python call and the loop around it, and nothing else. Leases are opened
ahead, when the customers are made (`prewarm`), as a program would that minds its latency.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from statistics import median
from time import perf_counter_ns
from typing import Any, Protocol

from fastcheck.replay.assign import Assigned
from fastcheck.replay.report import Report, Timing
from fastcheck.replay.trace import Request

OUTPUT_ESTIMATE = 512
"""Output tokens reserved for a request before its answer is known."""

BATCH_MAX = 512
"""Most reservations open at once."""

CUSTOMERS_PER_CALL = 1_024
"""Customers made, and leases opened, in one transaction."""

Quantities = dict[str, int]


class Hold(Protocol):
    """What the loop uses of a `Reservation`."""

    def __bool__(self) -> bool: ...
    def commit(self, actual: Quantities, /) -> Any: ...


class Admin(Protocol):
    """What the loop uses of `Entitlements.admin`."""

    def put_customers(self, customers: Iterable[Mapping[str, Any]], /) -> object: ...


class Engine(Protocol):
    """What the loop uses of `Entitlements`."""

    @property
    def admin(self) -> Admin: ...
    def prewarm(self, wanted: Iterable[str], /) -> Coroutine[Any, Any, object]: ...
    def check(self, customer: str, feature: str, /) -> bool: ...
    def decide(self, customer: str, feature: str, amount: Quantities, /) -> Any: ...
    def reserve(self, customer: str, feature: str, amount: Quantities, /) -> Hold: ...


def put_customers(
    engine: Engine, assigned: Mapping[str, Assigned], on_progress: Callable[[int], None] | None = None
) -> None:
    """Makes each session a customer on its plan, with its leases. `on_progress` is told how many are done."""
    rest = iter(assigned.items())
    done = 0
    while some := list(islice(rest, CUSTOMERS_PER_CALL)):
        engine.admin.put_customers([{"id": session, "plan": has.plan} for session, has in some])
        asyncio.run(engine.prewarm([session for session, _ in some]))
        done += len(some)
        if on_progress:
            on_progress(done)


def replay(
    engine: Engine,
    requests: Sequence[Request],
    assigned: Mapping[str, Assigned],
    report: Report,
    *,
    output_estimate: int = OUTPUT_ESTIMATE,
    on_progress: Callable[[int], None] | None = None,
    clock_ns: Callable[[], int] = perf_counter_ns,
) -> Timing:
    """Runs the requests and counts what happens in `report`. The customers must exist (`put_customers`)."""
    check, reserve = engine.check, engine.reserve
    timing: dict[str, list[float]] = {"check": [], "reserve": [], "commit": []}
    done = 0

    def spent(what: str, calls: int, since_ns: int) -> None:
        if calls:
            timing[what].append((clock_ns() - since_ns) / calls)

    began_ns = clock_ns()
    for batch in batches(requests):
        asks = [(r.session, assigned[r.session].model, _quantities(r, output_estimate)) for r in batch]

        start_ns = clock_ns()
        entitled = [check(session, model) for session, model, _ in asks]
        spent("check", len(asks), start_ns)

        wanted = [ask for ask, ok in zip(asks, entitled, strict=True) if ok]
        start_ns = clock_ns()
        tried = [reserve(session, model, estimate) for session, model, estimate in wanted]
        spent("reserve", len(wanted), start_ns)

        outcome = iter(tried)
        holds = [next(outcome) if ok else None for ok in entitled]
        settled = [
            (hold, _quantities(request, request.output_tokens))
            for hold, request in zip(holds, batch, strict=True)
            if hold
        ]
        start_ns = clock_ns()
        receipts = [hold.commit(actual) for hold, actual in settled]
        spent("commit", len(settled), start_ns)

        paid = iter(receipts)
        for request, (session, model, estimate), hold in zip(batch, asks, holds, strict=True):
            if hold:
                receipt = next(paid)
                report.allowed(request.ts_ms, assigned[session], receipt.charged, receipt.shortfall)
            else:
                reason = engine.decide(session, model, estimate).reason
                report.denied(request.ts_ms, assigned[session], str(reason))
        done += len(batch)
        if on_progress:
            on_progress(done)
    loop_s = (clock_ns() - began_ns) / 1e9

    middle = {what: median(values) if values else None for what, values in timing.items()}
    return Timing(
        loop_s, done / loop_s if loop_s else 0.0, **{f"{what}_ns": value for what, value in middle.items()}
    )


def batches(requests: Iterable[Request]) -> Iterator[list[Request]]:
    """Cuts the requests, in order, wherever a session would appear twice or a batch would exceed
    `BATCH_MAX`.
    """
    batch: list[Request] = []
    sessions: set[str] = set()
    for request in requests:
        if request.session in sessions or len(batch) == BATCH_MAX:
            yield batch
            batch, sessions = [], set()
        batch.append(request)
        sessions.add(request.session)
    if batch:
        yield batch


def _quantities(request: Request, output: int) -> Quantities:
    return {
        "input": request.input_tokens - request.cached_input_tokens,
        "cached": request.cached_input_tokens,
        "output": output,
    }
