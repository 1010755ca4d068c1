"""`fastcheck explain`: every source of one feature of one customer, and which one won."""

import argparse
from contextlib import closing

from fastcheck.cli import state
from fastcheck.cli.arguments import Commands, add_command, add_customer, add_directory, add_instant
from fastcheck.cli.screen import print_json


def add(commands: Commands, called: str = "explain") -> None:
    """The arguments; `called`: the command as the example writes it."""
    parser = add_command(
        commands,
        "explain",
        "show why a customer has a feature or not: every source, which one won, and why",
        f"fastcheck {called} ./state acme export --at 2026-02-01T00:00:00Z",
    )
    add_directory(parser)
    add_customer(parser)
    parser.add_argument("feature", metavar="FEATURE", help="name of the feature")
    add_instant(parser, "--at", "answer for this instant (default: now)")
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
