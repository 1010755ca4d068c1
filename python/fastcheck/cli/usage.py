"""`fastcheck usage`: the usage records of burns with an event id."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from fastcheck.cli import state
from fastcheck.cli.arguments import Commands, add_command, add_directory, add_group, add_instant, add_limit
from fastcheck.cli.customer import subject_of
from fastcheck.cli.instants import told, utc
from fastcheck.cli.pages import walk
from fastcheck.cli.screen import print_json_list, print_rows
from fastcheck.wire.answers import Page

if TYPE_CHECKING:
    from fastcheck.admin import Admin

PERIODS = {"hour": "%Y-%m-%d %H:00", "day": "%Y-%m-%d", "month": "%Y-%m", "year": "%Y"}
"""The name of the period of an instant, in UTC."""

NOTES = """\
The ledger keeps a usage record of each burn that names an event: consume(…, event="req_8f2"). Other burns are
in the balances only. The owner stores records about every 50 ms."""


@dataclass(frozen=True)
class Record:
    """A usage record of one burn."""

    at: int
    event: str
    customer: str
    feature: str
    pool_units: int
    """Units taken from the pool, in 10^-scale of a credit."""
    quantities: dict[str, int]
    """Units of the feature; "" is the plain, unnamed quantity."""


def add(commands: Commands) -> None:
    """The arguments of the subcommands."""
    parts = add_group(commands, "usage", "list and total usage records")

    lister = add_command(
        parts,
        "list",
        "list usage records in the order in which they were stored",
        "fastcheck usage list ./state --customer acme --since -7d",
        NOTES,
    )
    _add_filters(lister)
    add_limit(lister)
    lister.set_defaults(run=run_list)

    summer = add_command(
        parts,
        "totals",
        "add up usage records by feature and period",
        "fastcheck usage totals ./state --customer acme --by month",
        NOTES,
    )
    _add_filters(summer)
    summer.add_argument(
        "--by", choices=(*PERIODS, "all"), default="month", help="period of a row, in UTC (default month)"
    )
    summer.set_defaults(run=run_totals)


def run_list(args: argparse.Namespace) -> int:
    """Prints the records page by page."""
    with closing(state.entitlements(args.directory)) as entitlements:
        found = islice(_records(entitlements.admin, args), args.limit)
        if args.json:
            print_json_list(found)
        else:
            header = ("at (UTC)", "event", "customer", "feature", "used")
            rows = (
                (told(one.at), one.event, one.customer, one.feature, _used(one.quantities)) for one in found
            )
            print_rows(header, rows, left=4, none="no usage records")
    return 0


def run_totals(args: argparse.Namespace) -> int:
    """Adds up, and prints a row per period and feature."""
    used: dict[tuple[str, str], Counter[str]] = {}
    records: Counter[tuple[str, str]] = Counter()
    pool_units: Counter[tuple[str, str]] = Counter()
    with closing(state.entitlements(args.directory)) as entitlements:
        for one in _records(entitlements.admin, args):
            period = "all" if args.by == "all" else utc(one.at).strftime(PERIODS[args.by])
            row = period, one.feature
            records[row] += 1
            pool_units[row] += one.pool_units
            used.setdefault(row, Counter()).update(one.quantities)
    if args.json:
        print_json_list(
            {
                "period": period,
                "feature": feature,
                "records": records[period, feature],
                "pool_units": pool_units[period, feature],
                "quantities": dict(used[period, feature]),
            }
            for period, feature in sorted(used)
        )
    else:
        rows = [
            (period, feature, f"{records[period, feature]:,}", _used(used[period, feature]))
            for period, feature in sorted(used)
        ]
        print_rows(("period (UTC)", "feature", "records", "used"), rows, left=2, none="no usage records")
    return 0


def _add_filters(parser: argparse.ArgumentParser) -> None:
    add_directory(parser)
    parser.add_argument("--customer", metavar="CUSTOMER", help="only records of this customer: id or alias")
    parser.add_argument("--feature", metavar="FEATURE", help="only records of this feature")
    add_instant(parser, "--since", "first instant (default: the beginning)")
    add_instant(parser, "--until", "end, exclusive (default: the newest record)")


def _records(admin: Admin, args: argparse.Namespace) -> Iterator[Record]:
    """The records in [since, until) that the filters name."""
    customer = None if args.customer is None else subject_of(admin, args.customer)

    def page(cursor: str | None, limit: int) -> Page[Any]:
        return admin.list_usage(
            cursor, limit, customer=customer, feature=args.feature, since=args.since, until=args.until
        )

    for at, event, who, feature, pool_units, quantities in walk(page):
        yield Record(at, event, who, feature, pool_units, dict(quantities))


def _used(quantities: dict[str, int]) -> str:
    return " ".join(f"{name} {count:,}".lstrip() for name, count in sorted(quantities.items()))
