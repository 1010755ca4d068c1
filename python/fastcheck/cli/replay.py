"""`fastcheck replay`: a request trace through entitlements in a tight loop."""

import argparse
from pathlib import Path

from fastcheck.cli.arguments import Commands, add_command, positive, whole
from fastcheck.cli.screen import print_json, print_table, progress
from fastcheck.replay.assign import PLAN_WEIGHTS, parse_weights
from fastcheck.replay.errors import ReplayError
from fastcheck.replay.job import Job, Outcome, run_job
from fastcheck.replay.rates import CREDITS_PER_USD
from fastcheck.replay.report import Line
from fastcheck.replay.run import OUTPUT_ESTIMATE

NOTES = """\
For each request the command checks the model, reserves an estimate and commits the true amount.

Sessions become customers. A trace names no plan and no model. This rule gives each session one of each:
  pick, rest = divmod(crc32(session), sum of plan weights)
  plan  = the plan in whose share of the weights rest falls
  model = likewise, with pick modulo the sum of the model weights
The estimate is the true input and cached tokens, and --output-estimate tokens of output.

docs/replay.md has the file formats, the rules, and what the times include.

exit codes: 0 done, with or without denials; 2 error"""


def add(commands: Commands) -> None:
    """The arguments."""
    parser = add_command(
        commands,
        "replay",
        "run a request trace through entitlements: check, reserve, commit",
        "fastcheck replay requests.csv.gz --catalog examples/replay/catalog.yaml \\\n"
        "      --rates examples/replay/rates.csv --plot burn.svg",
        NOTES,
    )
    parser.add_argument(
        "trace", metavar="TRACE", type=Path, help="CSV, plain or gzipped: ts_ms,session,input_tokens,…"
    )
    parser.add_argument(
        "--catalog", metavar="FILE", type=Path, required=True, help="catalog file, or a template of one"
    )
    parser.add_argument(
        "--rates", metavar="FILE", type=Path, help="rate card for the template: CSV, USD per token"
    )
    parser.add_argument(
        "--state", metavar="DIR", type=Path, help="state directory to use and keep (default: a temporary one)"
    )
    parser.add_argument(
        "--assign", metavar="FILE", type=Path, help="CSV session,plan,model, used instead of the rule"
    )
    weights = ",".join(f"{plan}={weight}" for plan, weight in PLAN_WEIGHTS.items())
    parser.add_argument(
        "--plans", metavar="WEIGHTS", default=weights, help="weights of the plans (default %(default)s)"
    )
    parser.add_argument(
        "--models",
        metavar="WEIGHTS",
        help="weights of the models (default: the models of the template, equally)",
    )
    parser.add_argument(
        "--credits-per-usd",
        metavar="N",
        type=positive,
        default=CREDITS_PER_USD,
        help="credits that cost 1 USD (default %(default)s)",
    )
    parser.add_argument(
        "--output-estimate",
        metavar="N",
        type=whole,
        default=OUTPUT_ESTIMATE,
        help="tokens of output to reserve (default %(default)s)",
    )
    parser.add_argument("--limit", metavar="N", type=positive, help="replay only the first N requests")
    parser.add_argument(
        "--catalog-out", metavar="OUT", type=Path, help="write the complete catalog file here"
    )
    parser.add_argument("--plot", metavar="OUT.svg", type=Path, help="draw the burn over time, by plan")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Runs the replay and prints its report."""
    job = Job(
        trace=args.trace,
        catalog=args.catalog,
        rates=args.rates,
        state=args.state,
        assign=args.assign,
        plans=parse_weights(args.plans, "--plans"),
        models=parse_weights(args.models, "--models") if args.models else None,
        credits_per_usd=args.credits_per_usd,
        output_estimate=args.output_estimate,
        limit=args.limit,
    )
    show(job, plot=args.plot, catalog_out=args.catalog_out, as_json=args.json)
    return 0


def show(job: Job, plot: Path | None, catalog_out: Path | None, as_json: bool) -> None:
    """Runs a job; prints the report and writes the files asked for."""
    for out in (plot, catalog_out):
        if out is not None and not out.parent.is_dir():
            raise ReplayError(f"{out}: its directory does not exist; create {out.parent}")
    outcome = run_job(job, progress=progress)
    if catalog_out is not None:
        catalog_out.write_text(outcome.catalog_text, encoding="utf-8")
    if plot is not None:
        plot.write_text(outcome.plot(), encoding="utf-8")
    if as_json:
        print_json(outcome.as_json())
        return
    _print(outcome)
    if plot is not None:
        print(f"\nburn over time: {plot}")


def _print(outcome: Outcome) -> None:
    report, timing, total = outcome.report, outcome.timing, outcome.report.total()
    header = ("allowed", "denied", "credits burned", "shortfall")
    plans = [*report.by_plan.items(), ("total", total)]
    print_table("By plan", ("plan", *header), [_row(*of, outcome.scale) for of in plans])
    print()
    print_table("By model", ("model", *header), [_row(*of, outcome.scale) for of in report.by_model.items()])
    print()
    reasons = [(reason, f"{count:,}") for reason, count in sorted(report.reasons.items())]
    print_table("Denied", ("reason", "requests"), reasons or [("none", "0")])
    print()
    rows = [
        ("check", _ns(timing.check_ns), "median of batches: the Python call and the loop around it"),
        ("burn", _ns(timing.burn_ns), "reserve + commit"),
        ("  reserve", _ns(timing.reserve_ns), "allowed or not"),
        ("  commit", _ns(timing.commit_ns), ""),
        ("setup", f"{outcome.setup_s:.2f} s", f"opened the directory, put {outcome.customers:,} customers"),
        ("loop", f"{timing.loop_s:.2f} s", "wall time, with the bookkeeping of this report"),
        ("rate", f"{timing.requests_per_s:,.0f} /s", f"{total.allowed + total.denied:,} requests"),
    ]
    print_table("Time", ("what", "time", ""), [(a, b.rjust(10), c) for a, b, c in rows], left=3)


def _row(name: str, line: Line, scale: int | None) -> tuple[str, ...]:
    digits = "" if scale is None else f".{scale}"  # all there are: no credit is rounded away
    burned, shortfall = (f"{credits:,{digits}f}" for credits in (line.burned, line.shortfall))
    return name, f"{line.allowed:,}", f"{line.denied:,}", burned, shortfall


def _ns(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f} ns"
