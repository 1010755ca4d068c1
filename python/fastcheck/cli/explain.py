"""`fastcheck explain`: every source considered for one feature of one customer, which one won and why."""

import argparse
from contextlib import closing

from fastcheck.cli import state
from fastcheck.cli.arguments import Commands, add_command, add_customer, add_directory, add_instant
from fastcheck.cli.screen import print_json


def add(commands: Commands, called: str = "explain") -> None:
    """The arguments; `called`: how the command is reached, for its example."""
    parser = add_command(
        commands,
        "explain",
        "tell why a customer has a feature or not: every source, which one won and why",
        f"fastcheck {called} ./state acme export --at 2026-02-01T00:00:00Z",
    )
    add_directory(parser)
    add_customer(parser)
    parser.add_argument("feature", metavar="FEATURE")
    add_instant(parser, "--at", "another instant than now")
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
