"""One replay from files to a report: reads, renders, opens the state directory, runs. `fastcheck replay`
and `demo` are this.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from fastcheck.replay.assign import PLAN_WEIGHTS, Assigned, assign_all, by_file, by_hash
from fastcheck.replay.errors import ReplayError
from fastcheck.replay.plot import burn_over_time
from fastcheck.replay.rates import (
    CREDITS_PER_USD,
    RenderedCatalog,
    has_placeholders,
    read_rates,
    render_catalog,
)
from fastcheck.replay.report import Report, Timing, as_json
from fastcheck.replay.run import OUTPUT_ESTIMATE, Engine, put_customers, replay
from fastcheck.replay.trace import Request, read_trace

CATALOG_BYTES_MAX = 16 * 1024 * 1024

OpenEngine = Callable[[Path, str, Path], AbstractContextManager[Engine]]
"""(state directory, catalog text, the file it came from) -> entitlements, closed at the end."""

Progress = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]
"""(what is done, how many there are) -> a context whose value is told how many are done."""


@dataclass(frozen=True)
class Job:
    """What to replay, and how. `docs/replay.md` explains each field."""

    trace: Path
    catalog: Path
    rates: Path | None = None
    """A rate card for the placeholders of `catalog`; None if `catalog` is complete."""
    state: Path | None = None
    """The state directory; None: a temporary one, removed at the end."""
    assign: Path | None = None
    """A file session,plan,model instead of the stated rule."""
    plans: Mapping[str, int] = field(default_factory=lambda: dict(PLAN_WEIGHTS))
    models: Mapping[str, int] | None = None
    """Weights of the models; None: those the rate card is asked for, equally."""
    credits_per_usd: int = CREDITS_PER_USD
    output_estimate: int = OUTPUT_ESTIMATE
    limit: int | None = None
    """Only the first requests of the trace."""


@dataclass(frozen=True)
class Outcome:
    """What a job found."""

    job: Job
    report: Report
    timing: Timing
    customers: int
    setup_s: float
    """Time to open the directory and put the customers, s."""
    scale: int | None
    """Decimal digits of the pool, if the job computed them."""
    catalog_text: str

    def as_json(self) -> dict[str, Any]:
        """Plain data for `--json`."""
        return as_json(self.report, self.timing, self.customers, self.setup_s, self.scale)

    def plot(self) -> str:
        """Burn over time by plan, SVG text."""
        total = self.report.total()
        subtitle = (
            f"{self.job.trace.name}: {total.allowed:,} of {total.allowed + total.denied:,} requests served"
        )
        return burn_over_time(self.report.plans, self.report.points(), "Credits burned by plan", subtitle)


@contextmanager
def _silent(what: str, total: int) -> Iterator[Callable[[int], None]]:
    yield lambda done: None


@contextmanager
def open_embedded(directory: Path, catalog_text: str, catalog_file: Path) -> Iterator[Engine]:
    """Entitlements of this process on `directory`, with a local ledger."""
    from fastcheck import Entitlements
    from fastcheck._fastcheck import Catalog

    Catalog.parse(
        catalog_text.encode(), str(catalog_file)
    )  # so that mistakes are told of the file the user wrote
    with TemporaryDirectory(prefix="fastcheck-catalog-") as made:
        rendered = Path(made) / catalog_file.name
        rendered.write_text(catalog_text, encoding="utf-8")
        with closing(Entitlements.open(str(directory), catalog=str(rendered))) as entitlements:
            yield entitlements


def run_job(job: Job, open_engine: OpenEngine | None = None, progress: Progress = _silent) -> Outcome:
    """Runs a job. All files are read and checked before anything is written."""
    rendered = _catalog(job)
    requests = read_trace(job.trace, job.limit)
    assigned = _assigned(job, requests, rendered.models)
    report = _report(job, requests, assigned, rendered.models)
    with TemporaryDirectory(prefix="fastcheck-replay-") as made:
        began = perf_counter()
        directory = job.state or Path(made) / "state"
        with (open_engine or open_embedded)(directory, rendered.text, job.catalog) as engine:
            with progress("customers", len(assigned)) as tell:
                put_customers(engine, assigned, tell)
            setup_s = perf_counter() - began
            with progress("requests", len(requests)) as tell:
                timing = replay(
                    engine, requests, assigned, report, output_estimate=job.output_estimate, on_progress=tell
                )
    return Outcome(job, report, timing, len(assigned), setup_s, rendered.scale, rendered.text)


def _catalog(job: Job) -> RenderedCatalog:
    data = job.catalog.read_bytes()
    if len(data) > CATALOG_BYTES_MAX:
        raise ReplayError(f"{job.catalog}: larger than {CATALOG_BYTES_MAX:,} bytes; this is not a catalog")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ReplayError(f"{job.catalog}:{line}: not UTF-8; save the file as UTF-8") from None
    if job.rates is None:
        if has_placeholders(text):
            raise ReplayError(
                f"{job.catalog}: has placeholders for rates; give a rate card with --rates FILE"
            )
        return RenderedCatalog(text, None, ())
    rendered = render_catalog(text, str(job.catalog), read_rates(job.rates), job.credits_per_usd)
    if not rendered.models:
        raise ReplayError(f"{job.catalog}: has no ${{rates MODEL}} to fill; leave --rates out")
    return rendered


def _assigned(job: Job, requests: list[Request], priced: tuple[str, ...]) -> dict[str, Assigned]:
    sessions = (request.session for request in requests)
    if job.assign is not None:
        return assign_all(sessions, by_file(job.assign))
    models = job.models or dict.fromkeys(priced, 1)
    if not models:
        raise ReplayError("no models to ask for; name features of the catalog with --models a=1,b=1")
    return assign_all(sessions, by_hash(job.plans, models))


def _report(
    job: Job, requests: list[Request], assigned: Mapping[str, Assigned], priced: tuple[str, ...]
) -> Report:
    if job.assign is None:
        plans, models = tuple(job.plans), tuple(job.models or priced)
    else:
        plans = tuple(sorted({has.plan for has in assigned.values()}))
        models = tuple(sorted({has.model for has in assigned.values()}))
    return Report(plans, models, requests[0].ts_ms, requests[-1].ts_ms)
