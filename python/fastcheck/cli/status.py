"""`fastcheck status`: the owner, the content and the freshness of a state directory."""

import argparse
from contextlib import closing

from fastcheck.cli import state
from fastcheck.cli.arguments import Commands, add_command, add_directory
from fastcheck.cli.screen import plain_data, print_json, print_values


def add(commands: Commands) -> None:
    """The arguments."""
    parser = add_command(
        commands,
        "status",
        "show the owner, the content and the freshness of a state directory",
        "fastcheck status ./state",
    )
    add_directory(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Attaches and prints the status."""
    with closing(state.entitlements(args.directory)) as entitlements:
        status = plain_data(entitlements.status())
    if args.json:
        print_json(status)
    else:
        print_values(status)
    return 0
