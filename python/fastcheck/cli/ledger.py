"""`fastcheck ledger`: balances, the audit log and explanations, now and in the past; exports."""

from __future__ import annotations

import argparse
from contextlib import closing

from fastcheck.cli import audit, explain, ledger_export, state
from fastcheck.cli.arguments import (
    Commands,
    add_command,
    add_customer,
    add_directory,
    add_group,
    add_instant,
    add_limit,
)
from fastcheck.cli.balances import balance_of, pools_of, print_balances
from fastcheck.cli.customer import subject_of
from fastcheck.cli.pages import walk
from fastcheck.cli.screen import print_json_list


def add(commands: Commands) -> None:
    """The arguments of the subcommands."""
    parts = add_group(commands, "ledger", "balances, the audit log and explanations, now and in the past")

    balancer = add_command(
        parts,
        "balance",
        "show the balance of a customer in one pool or in all",
        "fastcheck ledger balance ./state acme ai_credits --at 2026-02-01",
    )
    add_directory(balancer)
    add_customer(balancer)
    balancer.add_argument("pool", metavar="POOL", nargs="?", help="only this pool")
    add_instant(balancer, "--at", "answer for this instant (default: now)")
    balancer.set_defaults(run=run_balance)

    auditor = add_command(
        parts,
        "audit",
        "list changes with instant, author and reason, newest first",
        "fastcheck ledger audit ./state --subject acme --limit 20",
    )
    add_directory(auditor)
    auditor.add_argument("--subject", metavar="CUSTOMER", help="only changes of this customer: id or alias")
    add_limit(auditor)
    auditor.set_defaults(run=run_audit)

    explain.add(parts, "ledger explain")
    ledger_export.add(parts)


def run_balance(args: argparse.Namespace) -> int:
    """Prints the balance of each pool."""
    with closing(state.entitlements(args.directory)) as entitlements:
        grants = [] if args.pool else entitlements.admin.list_grants(args.customer)
        pools = [args.pool] if args.pool else pools_of(entitlements, args.customer, grants)
        found = [balance_of(entitlements, args.customer, pool, args.at) for pool in pools]
    if args.json:
        print_json_list(found)
    elif found:
        print_balances("", found, grants if args.at is None else ())
    else:
        print("no balances")
    return 0


def run_audit(args: argparse.Namespace) -> int:
    """Prints the log from its end."""
    with closing(state.entitlements(args.directory)) as entitlements:
        admin = entitlements.admin
        subject = None if args.subject is None else subject_of(admin, args.subject)
        entries = walk(lambda cursor, limit: admin.audit(cursor, limit, subject))
        audit.show(entries, args.limit, args.json, subject=subject is None)
    return 0
