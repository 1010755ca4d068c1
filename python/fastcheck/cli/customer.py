"""`fastcheck customer`: customers, their plans, add-ons and aliases."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from typing import TYPE_CHECKING, Any

from fastcheck.cli import audit, deletion, state
from fastcheck.cli.arguments import (
    Commands,
    UsageError,
    add_change,
    add_command,
    add_customer,
    add_directory,
    add_group,
    add_instant,
    add_limit,
    addon,
    changing,
    positive,
)
from fastcheck.cli.balances import pools_of, print_balances
from fastcheck.cli.instants import told
from fastcheck.cli.override import print_overrides
from fastcheck.cli.pages import walk
from fastcheck.cli.screen import plain_data, print_json, print_json_list, print_rows, print_values
from fastcheck.errors import UnknownCustomer
from fastcheck.wire.answers import Customer

if TYPE_CHECKING:
    from fastcheck.admin import Admin

PUT_NOTES = """\
Replaces the customer: a plan, trial, add-on or alias that you leave out is removed. Overrides and grants
stay. With --keep, fields that you leave out stay, and the add-ons and aliases that you name are added."""


def add(commands: Commands) -> None:
    """The arguments of the subcommands."""
    parts = add_group(commands, "customer", "list, show, put, delete, restore and merge customers")

    lister = add_command(parts, "list", "list customers", "fastcheck customer list ./state --plan pro")
    add_directory(lister)
    lister.add_argument("--plan", metavar="PLAN", help="only customers on this plan: pro, or pro@2")
    add_limit(lister)
    lister.set_defaults(run=run_list)

    shower = add_command(
        parts, "show", "show a customer with overrides and balances", "fastcheck customer show ./state acme"
    )
    add_directory(shower)
    add_customer(shower)
    shower.set_defaults(run=run_show)

    putter = add_command(
        parts,
        "put",
        "create or replace a customer",
        "fastcheck customer put ./state acme --plan pro --alias stripe:cus_9 --reason signup",
        PUT_NOTES,
    )
    add_directory(putter)
    putter.add_argument("customer", metavar="CUSTOMER", help="id of the customer")
    putter.add_argument("--plan", metavar="PLAN", help="the customer's plan (default: none)")
    putter.add_argument(
        "--version",
        metavar="N",
        type=positive,
        help="version of the plan (default: the customer's own on that plan, else the newest)",
    )
    putter.add_argument(
        "--addon",
        metavar="NAME[=QTY][@UNTIL]",
        type=addon,
        action="append",
        default=[],
        help="an add-on: seats_pack=2@2026-12-31; may be repeated",
    )
    putter.add_argument(
        "--alias",
        metavar="KEY",
        action="append",
        default=[],
        help="another key of the customer; may be repeated",
    )
    putter.add_argument("--trial", metavar="PLAN", help="a plan to try, on top of --plan")
    add_instant(putter, "--trial-until", "end of the trial (default: as long as the plan says)")
    add_instant(putter, "--since", "start of anniversaries (default: now for a new plan)")
    putter.add_argument("--keep", action="store_true", help="keep fields that you leave out")
    add_change(putter)
    putter.set_defaults(run=run_put)

    deletion.add(parts)

    teller = add_command(
        parts,
        "history",
        "list the changes of a customer, newest first",
        "fastcheck customer history ./state acme --limit 10",
    )
    add_directory(teller)
    add_customer(teller)
    add_limit(teller)
    teller.set_defaults(run=run_history)


def run_list(args: argparse.Namespace) -> int:
    """Lists customers in the order of their ids."""
    with closing(state.entitlements(args.directory)) as entitlements:
        found = islice(_on(args.plan, walk(entitlements.admin.list_customers)), args.limit)
        if args.json:
            print_json_list(found)
        else:
            header = ("customer", "plan", "since (UTC)", "trial until", "add-ons", "aliases")
            rows = (
                (
                    one.id,
                    _plan(one),
                    told(one.since_at) if one.plan else "-",
                    "-" if one.trial is None else told(one.trial.until_at),
                    _addons(one),
                    " ".join(one.aliases) or "-",
                )
                for one in found
            )
            print_rows(header, rows, left=len(header), none="no customers")
    return 0


def run_show(args: argparse.Namespace) -> int:
    """Prints one customer with overrides and balances."""
    with closing(state.entitlements(args.directory)) as entitlements:
        admin = entitlements.admin
        customer = admin.get_customer(args.customer)
        overrides = admin.list_overrides(customer.id)
        grants = admin.list_grants(customer.id)
        balances = [admin.balance(customer.id, pool) for pool in pools_of(entitlements, customer.id, grants)]
    if args.json:
        print_json({**plain_data(customer), "overrides": overrides, "balances": balances})
        return 0
    print_values(_values(customer))
    if overrides:
        print()
        print_overrides("overrides", overrides)
    if balances:
        print()
        print_balances("balances", balances, grants)
    return 0


def run_put(args: argparse.Namespace) -> int:
    """Stores the customer and prints it."""
    with closing(state.entitlements(args.directory)) as entitlements:
        admin = changing(entitlements.admin, args)
        wanted = {
            "plan": args.plan,
            "version": args.version,
            "addons": {name: (quantity, until) for name, quantity, until in args.addon},
            "aliases": args.alias,
            "trial_plan": args.trial,
            "trial_until": args.trial_until,
        }
        if args.keep:
            wanted = _kept(admin, args.customer, wanted)
        changed = admin.put_customer(args.customer, **wanted, since=args.since, reason=args.reason)
        customer = admin.get_customer(args.customer)
    if args.json:
        print_json({"changed": changed, "customer": customer})
        return 0
    print(f"{customer.id}: {'changed' if changed else 'was so already'}")
    print_values({name: value for name, value in _values(customer).items() if value != "-"})
    return 0


def run_history(args: argparse.Namespace) -> int:
    """Prints the audit log of one customer, deleted ones included."""
    with closing(state.entitlements(args.directory)) as entitlements:
        admin = entitlements.admin
        id = subject_of(admin, args.customer)
        entries = walk(lambda cursor, limit: admin.audit(cursor, limit, id))
        first = next(entries, None)
        if first is None:
            admin.get_customer(args.customer)  # Either nothing was ever changed, or the customer is unknown.
        audit.show(_with(first, entries), args.limit, args.json, subject=False)
    return 0


def subject_of(admin: Admin, key: str) -> str:
    """The id behind an alias: the audit log names ids. The key itself, if no customer has it now."""
    try:
        return admin.get_customer(key).id
    except UnknownCustomer:
        return key


def _with(first: Any, rest: Iterator[Any]) -> Iterator[Any]:
    if first is not None:
        yield first
        yield from rest


def _kept(admin: Admin, id: str, wanted: dict[str, Any]) -> dict[str, Any]:
    """The wanted fields, filled up with those the customer has. The service keeps versions and the end of a
    trial by itself. Raises `UnknownCustomer`, `UsageError`."""
    now = admin.get_customer(id)
    has = {one.name: (one.quantity, one.until_at) for one in now.addons}
    trial = wanted["trial_plan"] or (now.trial.plan if now.trial else None)
    if trial is None and wanted["trial_until"] is not None and wanted["plan"] is None:
        raise UsageError(f"{id} has no trial whose end could be moved: name one with --trial")
    return {
        **wanted,
        "plan": wanted["plan"] or now.plan,
        "addons": {**has, **wanted["addons"]},
        "aliases": [*now.aliases, *wanted["aliases"]],
        "trial_plan": trial,
    }


def _on(plan: str | None, customers: Iterator[Customer]) -> Iterator[Customer]:
    if plan is None:
        return customers
    return (one for one in customers if plan in (one.plan, _plan(one)))


def _plan(customer: Customer) -> str:
    return "-" if customer.plan is None else f"{customer.plan}@{customer.version}"


def _addons(customer: Customer) -> str:
    named = [
        f"{one.name}={one.quantity}" + ("" if one.until_at is None else f"@{told(one.until_at)}")
        for one in customer.addons
    ]
    return " ".join(named) or "-"


def _values(customer: Customer) -> dict[str, str]:
    trial = customer.trial
    return {
        "customer": customer.id,
        "plan": _plan(customer),
        "since": f"{told(customer.since_at)} UTC" if customer.plan else "-",
        "trial": "-" if trial is None else f"{trial.plan}@{trial.version} until {told(trial.until_at)} UTC",
        "add-ons": _addons(customer),
        "aliases": " ".join(customer.aliases) or "-",
    }
