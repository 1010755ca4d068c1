"""`fastcheck demo`: the main job on a generated trace, offline, in a temporary directory."""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

from fastcheck.cli.arguments import Commands, add_command, positive, whole
from fastcheck.cli.replay import show
from fastcheck.replay import example
from fastcheck.replay.generate import REQUESTS_MAX, generate
from fastcheck.replay.job import Job
from fastcheck.replay.trace import write_trace

REQUESTS = 10_000
PLOT = Path("fastcheck-demo.svg")


def add(commands: Commands) -> None:
    """The arguments."""
    parser = add_command(
        commands,
        "demo",
        "generate an hour of model requests and run them through entitlements, offline",
        "fastcheck demo --seed 7",
    )
    parser.add_argument(
        "--requests",
        metavar="N",
        type=_requests,
        default=REQUESTS,
        help="requests to generate (default %(default)s)",
    )
    parser.add_argument(
        "--seed", metavar="N", type=whole, default=1, help="seed of the trace (default %(default)s)"
    )
    parser.add_argument(
        "--plot", metavar="OUT.svg", type=Path, default=PLOT, help="plot to write (default ./%(default)s)"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Generates a trace, replays it, prints the report."""
    with TemporaryDirectory(prefix="fastcheck-demo-") as made:
        trace = Path(made) / "demo.csv.gz"
        write_trace(trace, generate(args.requests, args.seed))
        show(Job(trace, example.CATALOG, example.RATES), plot=args.plot, catalog_out=None, as_json=args.json)
    return 0


def _requests(text: str) -> int:
    count = positive(text)
    if count > REQUESTS_MAX:
        raise argparse.ArgumentTypeError(f"{text!r} is more than {REQUESTS_MAX:,}")
    return count
