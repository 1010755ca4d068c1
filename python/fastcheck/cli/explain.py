"""`fastcheck explain`: every source considered for one feature of one customer, which one won and why."""

import argparse
from contextlib import closing

from fastcheck.cli import state
from fastcheck.cli.arguments import Commands, add_command, instant
from fastcheck.cli.screen import print_json


def add(commands: Commands) -> None:
    """The arguments."""
    parser = add_command(
        commands,
        "explain",
        "tell why a customer has a feature or not: every source, which one won and why",
        "fastcheck explain ./state acme export --at 2026-02-01T00:00:00Z",
    )
    parser.add_argument("directory", metavar="DIR", help="state directory of the service")
    parser.add_argument("customer", metavar="CUSTOMER", help="id or alias key")
    parser.add_argument("feature", metavar="FEATURE")
    parser.add_argument(
        "--at", metavar="INSTANT", type=instant, help="another instant than now, ISO 8601, UTC unless it says"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Attaches, asks, prints the explanation."""
    with closing(state.entitlements(args.directory)) as entitlements:
        explanation = entitlements.explain(args.customer, args.feature, at=args.at)
    if args.json:
        print_json(explanation)
    else:
        print(explanation)
    return 0
