"""`fastcheck init`: makes a state directory from a catalog."""

import argparse
from pathlib import Path

from fastcheck.cli.arguments import Commands, add_command
from fastcheck.cli.screen import print_json
from fastcheck.errors import Conflict


def add(commands: Commands) -> None:
    """The arguments."""
    parser = add_command(
        commands,
        "init",
        "make a state directory from a catalog file",
        "fastcheck init ./state --catalog catalog.yaml",
        "exit codes: 0 made; 1 DIR is a state directory already; 2 an invalid catalog, or an error",
    )
    parser.add_argument("directory", metavar="DIR", help="the new state directory")
    parser.add_argument(
        "--catalog", metavar="FILE", type=Path, required=True, help="catalog file, YAML or JSON"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Opens the directory once."""
    from fastcheck import Catalog, Entitlements

    if Path(args.directory, "ledger.db").exists():
        raise Conflict(f"{args.directory} is a state directory already: its catalog and customers stay")
    # Read first, so that a mistake in it leaves no directory behind.
    digest = Catalog.parse(args.catalog.read_bytes(), str(args.catalog)).digest
    Entitlements.open(args.directory, catalog=args.catalog).close()
    if args.json:
        print_json({"directory": args.directory, "catalog": str(args.catalog), "digest": digest})
    else:
        print(f"{args.directory}: made, with the catalog {args.catalog}")
    return 0
