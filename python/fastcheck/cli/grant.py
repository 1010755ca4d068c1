"""`fastcheck grant`: credits that were put into customers' pools."""

from __future__ import annotations

import argparse
import time
from contextlib import closing
from typing import Any

from fastcheck.cli import state
from fastcheck.cli.arguments import (
    Commands,
    add_change,
    add_command,
    add_customer,
    add_directory,
    add_group,
    add_instant,
    add_yes,
    changing,
    cost,
    credits,
    signed,
)
from fastcheck.cli.confirm import confirm
from fastcheck.cli.instants import told
from fastcheck.cli.screen import credits_text, plain_data, print_json, print_json_list, print_table
from fastcheck.wire.answers import GrantState

KINDS = ("paid", "promotional", "plan")


def add(commands: Commands) -> None:
    """The arguments of the subcommands."""
    parts = add_group(commands, "grant", "add, list and void grants")

    adder = add_command(
        parts,
        "add",
        "put credits into a customer's pool",
        "fastcheck grant add ./state acme ai_credits 50000 --id order_17 --reason top-up",
        "With --id or --once you may repeat the command: the credits are granted once.",
    )
    add_directory(adder)
    add_customer(adder)
    adder.add_argument("pool", metavar="POOL", help="pool of the catalog, or a meter")
    adder.add_argument("amount", metavar="AMOUNT", type=credits, help="credits: 50000, 50_000, 12.5")
    adder.add_argument(
        "--priority",
        metavar="N",
        type=signed,
        default=100,
        help="grants with a smaller priority burn first (default 100)",
    )
    add_instant(adder, "--effective", "start of the grant (default: now)")
    add_instant(adder, "--expires", "end of the grant; the rest expires (default: never)")
    adder.add_argument("--kind", choices=KINDS, default="paid", help="kind of the grant (default paid)")
    adder.add_argument("--id", metavar="ID", help="your own id for the grant (default: a new one)")
    adder.add_argument(
        "--cost", metavar="COST", type=cost, help="price paid, in minor units: 4900EUR (default: nothing)"
    )
    add_change(adder)
    adder.set_defaults(run=run_add)

    lister = add_command(
        parts,
        "list",
        "list the grants of a customer, oldest first, ended ones included",
        "fastcheck grant list ./state acme ai_credits",
    )
    add_directory(lister)
    add_customer(lister)
    lister.add_argument("pool", metavar="POOL", nargs="?", help="only grants of this pool")
    lister.set_defaults(run=run_list)

    voider = add_command(
        parts,
        "void",
        "take back the rest of a grant",
        "fastcheck grant void ./state order_17 --reason refunded",
        "exit codes: 0 voided now or before; 1 used up or expired; 2 error",
    )
    add_directory(voider)
    voider.add_argument("grant", metavar="GRANT", help="id of the grant, see `fastcheck grant list`")
    add_change(voider)
    add_yes(voider)
    voider.set_defaults(run=run_void)


def run_add(args: argparse.Namespace) -> int:
    """Grants, then prints the id and the new balance."""
    with closing(state.entitlements(args.directory)) as entitlements:
        id = changing(entitlements.admin, args).grant(
            args.customer,
            args.pool,
            args.amount,
            id=args.id,
            priority=args.priority,
            effective_at=args.effective,
            expires_at=args.expires,
            kind=args.kind,
            reason=args.reason,
            cost=args.cost,
        )
        balance = entitlements.admin.balance(args.customer, args.pool)
    if args.json:
        print_json({"grant": id, "balance": balance})
    else:
        left = credits_text(balance.remaining)
        print(f"{id}: granted {credits_text(args.amount)} {args.pool} to {args.customer}, {left} left now")
    return 0


def run_list(args: argparse.Namespace) -> int:
    """A table for each pool."""
    with closing(state.entitlements(args.directory)) as entitlements:
        grants = entitlements.admin.list_grants(args.customer, args.pool)
    now = time.time_ns() // 1_000_000
    if args.json:
        print_json_list(_as_data(one, now) for one in grants)
        return 0
    if not grants:
        print("no grants")
    header = ("grant", "kind", "state", "expires (UTC)", "prio", "amount", "left", "burned")
    for place, pool in enumerate(dict.fromkeys(one.pool for one in grants)):
        rows = [
            (
                one.id,
                one.kind,
                standing(one, now),
                told(one.expires_at),
                str(one.priority),
                credits_text(one.amount),
                credits_text(one.remaining),
                credits_text(one.burned),
            )
            for one in grants
            if one.pool == pool
        ]
        if place:
            print()
        print_table(pool, header, rows, left=4)
    return 0


def run_void(args: argparse.Namespace) -> int:
    """Asks for confirmation, then voids."""
    confirm(f"Void grant {args.grant}? This takes back the rest of it.", args.yes)
    with closing(state.entitlements(args.directory)) as entitlements:
        grant = changing(entitlements.admin, args).void(args.grant, reason=args.reason)
    if args.json:
        print_json(_as_data(grant, grant.voided_at or 0))
    else:
        print(f"{grant.id}: voided, {grant.pool} of {grant.customer}")
    return 0


def standing(grant: GrantState, now: int) -> str:
    """The state of a grant at an instant: voided, expired, upcoming, used up or active."""
    if grant.voided_at is not None and grant.voided_at <= now:
        return "voided"
    if grant.expires_at is not None and grant.expires_at <= now:
        return "expired"
    if grant.effective_at > now:
        return "upcoming"
    return "active" if grant.remaining else "used up"


def _as_data(grant: GrantState, now: int) -> dict[str, Any]:
    return {**plain_data(grant), "state": standing(grant, now)}
