"""`fastcheck ledger export` and `check`: files for finance, and the laws of the ledger."""

from __future__ import annotations

import argparse
from contextlib import closing

from fastcheck.cli import state
from fastcheck.cli.arguments import Commands, add_command, add_directory, add_instant
from fastcheck.cli.instants import told
from fastcheck.cli.screen import print_json, print_table, progress
from fastcheck.clock import instant_ms


def add(parts: Commands) -> None:
    """The arguments."""
    checker = add_command(
        parts,
        "check",
        "check that the grants, postings and leases of every account add up",
        "fastcheck ledger check ./state",
        "exit codes: 0 every law holds; 1 a law is broken; 2 error",
    )
    add_directory(checker)
    checker.add_argument("--quick", action="store_true", help="compare only the sums of each pool")
    checker.set_defaults(run=run_check)

    exporter = add_command(
        parts,
        "export",
        "write the movements, balances, usage and revenue of a period to files",
        "fastcheck ledger export ./state ./books --since 2026-01-01 --until 2026-02-01",
        "The files get their names once they agree with the ledger's own sums. See docs/finance.md.",
    )
    add_directory(exporter)
    exporter.add_argument("out", metavar="OUT", help="directory for the files; made if missing")
    exporter.add_argument(
        "--format", choices=("csv", "parquet"), default="csv", help="format of the files (default csv)"
    )
    exporter.add_argument(
        "--period",
        choices=("hour", "day", "month", "year"),
        default="month",
        help="period of the rows of usage (default month)",
    )
    add_instant(exporter, "--since", "first instant of the period (default: the beginning)")
    add_instant(exporter, "--until", "end of the period, exclusive (default: now)")
    exporter.set_defaults(run=run_export)


def run_export(args: argparse.Namespace) -> int:
    """Writes the files and prints how many rows each has."""
    since = None if args.since is None else instant_ms(args.since, "--since")
    until = None if args.until is None else instant_ms(args.until, "--until")
    with (
        closing(state.entitlements(args.directory)) as entitlements,
        progress("postings read, percent", 100) as percent,
    ):
        found = entitlements.admin.export(
            args.out,
            since=since,
            until=until,
            format=args.format,
            period=args.period,
            progress=lambda done, total: percent(min(100, done * 100 // max(total, 1))),
        )
    if args.json:
        print_json(found)
        return 0
    rows = [(name, f"{about['rows']:,}") for name, about in sorted(found.files.items())]
    print_table("", ("file", "rows"), rows, left=1)
    begin = "the beginning" if found.since == 0 else told(found.since)
    print(f"{begin} to {told(found.until)} (UTC): the rows come to the ledger's sums, to the unit")
    return 0


def run_check(args: argparse.Namespace) -> int:
    """Prints every broken law; returns 1 if there is one."""
    seen = 0
    with (
        closing(state.entitlements(args.directory)) as entitlements,
        progress("accounts checked", entitlements.status().customers) as tell,
    ):

        def count(accounts: int) -> None:
            nonlocal seen
            seen = accounts
            tell(accounts)

        found = entitlements.admin.check_ledger(quick=args.quick, progress=count)
    if args.json:
        print_json({"sound": not found, "accounts": seen, "problems": found})
    elif found:
        rows = [(one.customer or "-", one.pool, one.law) for one in found]
        print_table("", ("customer", "pool", "broken law"), rows, left=3)
    else:
        what = "the sums of every pool" if args.quick else f"{seen:,} accounts and the sums of every pool"
        print(f"the ledger adds up: {what}")
    return 1 if found else 0
